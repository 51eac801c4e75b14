#include "fibers.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace fastntk::emulation {
namespace {

#if defined(__x86_64__)

// Saves the registers that a callee must keep and changes stacks: swapcontext() without its system call.
extern "C" void fastntk_switch_stack(void** save, void* load);
asm(R"(.text
.globl fastntk_switch_stack
.hidden fastntk_switch_stack
.type fastntk_switch_stack,@function
fastntk_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fastntk_switch_stack,.-fastntk_switch_stack
)");

struct Context {
  void* stack_pointer = nullptr;

  void prepare(std::byte* stack, std::size_t size, void (*entry)()) {
    auto* top = reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uintptr_t>(stack + size) & ~std::uintptr_t{15});
    *--top = 0;
    *--top = reinterpret_cast<std::uintptr_t>(entry);  // the stack is then aligned as after a call
    for (int i = 0; i < 6; ++i) *--top = 0;
    *--top = 0x037f'0000'1f80;  // the default x87 control word and mxcsr
    stack_pointer = top;
  }
  void switch_to(Context& other) { fastntk_switch_stack(&stack_pointer, other.stack_pointer); }
};

#else

struct Context {
  ucontext_t context;

  void prepare(std::byte* stack, std::size_t size, void (*entry)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = size;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
  }
  void switch_to(Context& other) { swapcontext(&context, &other.context); }
};

#endif

enum class State : std::uint8_t { not_started, ready, at_barrier, at_collective, done };

// A stack and what runs on it: threads that never wait share one, one after the other.
struct Stack {
  Context context;
  std::byte* low;
  void* fake_stack = nullptr;  // the address sanitizer's
};

struct Fiber : Thread {
  State state = State::not_started;
  Stack* stack = nullptr;
  int predicate = 0;
  unsigned mask = 0;
  int site = 0;
  std::uint64_t value = 0;
};

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t stack_bytes = 64 << 10;
#else
constexpr std::size_t stack_bytes = 32 << 10;
#endif
constexpr std::size_t largest_shared = 227 << 10;
constexpr std::size_t guard = 64;  // bytes around shared memory that no one may write
constexpr auto poison = std::byte{0xff};
constexpr auto canary = std::byte{0xa5};

// The stacks of as many threads as a block has had so far: launches follow one another, and fresh memory is slow.
std::vector<Stack>& stacks_for(std::size_t count) {
  static thread_local std::unique_ptr<std::byte[]> memory;
  static thread_local std::vector<Stack> stacks;
  if (stacks.size() < count) {
    stacks.clear();
    memory = std::make_unique_for_overwrite<std::byte[]>((count + 1) * stack_bytes);
    for (std::size_t i = 1; i <= count; ++i) {  // what overflows the first one lands in the memory before it
      stacks.push_back({{}, memory.get() + i * stack_bytes, nullptr});
#if !defined(__SANITIZE_ADDRESS__)
      std::fill_n(stacks.back().low, guard, canary);
#endif
    }
  }
  return stacks;
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("CUDA emulation: " + what); }

std::size_t threads_of(dim3 block) {
  const std::size_t count = std::size_t{block.x} * block.y * block.z;
  if (count == 0 || count > 1024) fail("a block of " + std::to_string(count) + " threads; 1 to 1024 are possible");
  return count;
}

class Scheduler : public Block {
 public:
  Scheduler(dim3 grid_size, dim3 block_size, std::size_t shared_bytes, const std::function<void()>& body);
  void run_block(dim3 block_index);
  /// Whether all threads stayed on their stacks.
  void check_stacks() const;

  int barrier(int predicate);
  const std::uint64_t* exchange(unsigned mask, std::uint64_t value, int site);
  bool exists(unsigned lane) const { return (current_->linear & ~31u) + lane < fibers_.size(); }

 private:
  static void enter();
  bool start_next();
  void resume(Fiber& fiber);
  void pause(bool forever = false);
  bool run_warp(std::size_t first, std::size_t end);
  bool release_collectives(std::size_t first, std::size_t end);
  void check_guards() const;

  const std::function<void()>& body_;
  std::vector<Fiber> fibers_;
  std::vector<Stack>& stacks_;
  std::vector<Stack*> free_stacks_;
  std::size_t warp_begin_ = 0, warp_end_ = 0;  // of the warp that runs
  std::size_t started_ = 0;                    // threads of it that have begun, in the order of run_warp()
  std::size_t at_collectives_ = 0;             // threads of it that wait
  std::size_t shared_bytes_;
  std::unique_ptr<std::byte[]> shared_;
  std::vector<std::uint64_t> exchanged_;
  Context scheduler_;
  Fiber* current_ = nullptr;
  int votes_ = 0;
  std::exception_ptr error_;
  const void* host_stack_ = nullptr;
  std::size_t host_stack_bytes_ = 0;
  void* host_fake_stack_ = nullptr;
};

constinit thread_local Scheduler* active = nullptr;
// FASTNTK_EMULATION=reverse sets the order of a whole program.
bool reversed = [] {
  const char* const order = std::getenv("FASTNTK_EMULATION");
  return order && std::string(order) == "reverse";
}();

Scheduler::Scheduler(dim3 grid_size, dim3 block_size, std::size_t shared_bytes, const std::function<void()>& body)
    : Block{{}, block_size, grid_size, nullptr},
      body_(body),
      stacks_(stacks_for(threads_of(block_size))),
      shared_bytes_(shared_bytes) {
  const std::size_t count = threads_of(block_size);
  if (shared_bytes > largest_shared) fail(std::to_string(shared_bytes) + " bytes of shared memory");
  fibers_.resize(count);
  exchanged_.resize((count + 31) / 32 * 32);
  free_stacks_.reserve(stacks_.size());
#if defined(__SANITIZE_ADDRESS__)
  // The sanitizer's own red zones take the place of the guards.
  shared_ = std::make_unique_for_overwrite<std::byte[]>(shared_bytes + 16);
  shared = shared_.get();
  ASAN_POISON_MEMORY_REGION(shared + shared_bytes, 16);
  pthread_attr_t attributes;
  void* low;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &low, &host_stack_bytes_);
  pthread_attr_destroy(&attributes);
  host_stack_ = low;
#else
  shared_ = std::make_unique_for_overwrite<std::byte[]>(shared_bytes + 2 * guard);
  std::fill_n(shared_.get(), shared_bytes + 2 * guard, canary);
  shared = shared_.get() + guard;
#endif
  for (unsigned i = 0; i < count; ++i) {
    fibers_[i].linear = i;
    fibers_[i].index = {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
  }
}

void Scheduler::enter() {
  Scheduler& s = *active;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &s.host_stack_, &s.host_stack_bytes_);
#endif
  do {
    try {
      s.body_();
    } catch (...) {
      s.error_ = std::current_exception();
    }
    s.current_->state = State::done;
  } while (!s.error_ && s.start_next());
  s.free_stacks_.push_back(s.current_->stack);
  s.pause(true);
  std::abort();
}

// The next thread of the warp that has not begun takes over the stack of the current one, which has ended: in the order in
// which run_warp() would begin them.
bool Scheduler::start_next() {
  Stack* const stack = current_->stack;
  if (started_ == warp_end_ - warp_begin_) return false;
  Fiber& next = fibers_[reversed ? warp_end_ - 1 - started_ : warp_begin_ + started_];
  ++started_;
  next.state = State::ready;
  next.stack = stack;
  current_ = &next;
  running.thread = &next;
  return true;
}

void Scheduler::pause([[maybe_unused]] bool forever) {
  Stack& stack = *current_->stack;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(forever ? nullptr : &stack.fake_stack, host_stack_, host_stack_bytes_);
#endif
  stack.context.switch_to(scheduler_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(stack.fake_stack, &host_stack_, &host_stack_bytes_);
#endif
}

void Scheduler::resume(Fiber& fiber) {
  if (fiber.state == State::not_started) {
    ++started_;
    fiber.state = State::ready;
    fiber.stack = free_stacks_.back();
    free_stacks_.pop_back();
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack->low, stack_bytes);  // what the thread before left
#endif
    fiber.stack->context.prepare(fiber.stack->low, stack_bytes, &enter);
  }
  current_ = &fiber;
  running.thread = &fiber;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&host_fake_stack_, fiber.stack->low, stack_bytes);
#endif
  scheduler_.switch_to(fiber.stack->context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(host_fake_stack_, nullptr, nullptr);
#endif
  if (error_) std::rethrow_exception(error_);
}

int Scheduler::barrier(int predicate) {
  current_->predicate = predicate;
  current_->state = State::at_barrier;
  pause();
  return votes_;
}

const std::uint64_t* Scheduler::exchange(unsigned mask, std::uint64_t value, int site) {
  Fiber& fiber = *current_;
  if (!(mask >> (fiber.linear & 31) & 1u)) fail("a warp's collective is called by a lane that its mask leaves out");
  fiber.value = value;
  fiber.mask = mask;
  fiber.site = site;
  fiber.state = State::at_collective;
  ++at_collectives_;
  pause();
  return exchanged_.data() + (fiber.linear & ~31u);
}

// A collective goes on once every lane of its mask waits at it. A full mask may name lanes that the block has not.
bool Scheduler::release_collectives(std::size_t first, std::size_t end) {
  bool any = false;
  for (std::size_t i = first; i < end; ++i) {
    if (fibers_[i].state != State::at_collective) continue;
    const unsigned mask = fibers_[i].mask;
    bool complete = true;
    for (std::size_t k = 0; k < 32; ++k) {
      if (!(mask >> k & 1u)) continue;
      if (first + k >= end) {
        if (mask != 0xffffffffu) fail("a warp's mask names a lane that does not exist");
        continue;
      }
      const Fiber& other = fibers_[first + k];
      complete &= other.state == State::at_collective && other.mask == mask && other.site == fibers_[i].site;
    }
    if (!complete) continue;
    for (std::size_t k = first; k < end; ++k) {
      if (!(mask >> (k - first) & 1u)) continue;
      exchanged_[k] = fibers_[k].value;
      fibers_[k].state = State::ready;
      --at_collectives_;
    }
    any = true;
  }
  return any;
}

// Runs a warp until all its lanes are done or wait for the block.
bool Scheduler::run_warp(std::size_t first, std::size_t end) {
  bool progress = false;
  warp_begin_ = first;
  warp_end_ = end;
  started_ = fibers_[first].state == State::not_started ? 0 : end - first;  // the first run begins them all
  for (bool ran = true; ran; progress |= ran) {
    ran = false;
    for (std::size_t k = 0; k < end - first; ++k) {
      Fiber& fiber = fibers_[reversed ? end - 1 - k : first + k];
      if (fiber.state != State::ready && fiber.state != State::not_started) continue;
      resume(fiber);
      ran = true;
    }
    if (at_collectives_ == 0) return progress | ran;  // all are done or wait for the block
    ran |= release_collectives(first, end);
  }
  return progress;
}

void Scheduler::run_block(dim3 block_index) {
  index = block_index;
  std::fill_n(shared, shared_bytes_, poison);
  for (Fiber& fiber : fibers_) fiber.state = State::not_started;
  free_stacks_.clear();
  for (std::size_t i = 0; i < fibers_.size(); ++i) free_stacks_.push_back(&stacks_[i]);
  at_collectives_ = 0;
  const std::size_t warps = (fibers_.size() + 31) / 32;
  for (;;) {
    bool progress = false;
    for (std::size_t w = 0; w < warps; ++w) {
      const std::size_t first = 32 * (reversed ? warps - 1 - w : w);
      progress |= run_warp(first, std::min(first + 32, fibers_.size()));
    }
    std::size_t done = 0, waiting = 0;
    int votes = 0;
    for (const Fiber& fiber : fibers_) {
      done += fiber.state == State::done;
      waiting += fiber.state == State::at_barrier;
      votes += fiber.state == State::at_barrier && fiber.predicate != 0;
    }
    if (done == fibers_.size()) break;
    if (waiting > 0 && waiting + done == fibers_.size()) {
      if (done > 0) fail("__syncthreads() after some threads of the block have ended");
      votes_ = votes;
      for (Fiber& fiber : fibers_) fiber.state = State::ready;
    } else if (!progress) {
      fail("threads wait at different barriers or collectives");
    }
  }
  check_guards();
}

void Scheduler::check_guards() const {
#if !defined(__SANITIZE_ADDRESS__)
  const auto intact = [](std::byte b) { return b == canary; };
  if (!std::all_of(shared - guard, shared, intact) ||
      !std::all_of(shared + shared_bytes_, shared + shared_bytes_ + guard, intact)) {
    fail("a kernel wrote outside its shared memory");
  }
#endif
}

void Scheduler::check_stacks() const {
#if !defined(__SANITIZE_ADDRESS__)
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    const Stack& stack = stacks_[i];
    if (std::all_of(stack.low, stack.low + guard, [](std::byte b) { return b == canary; })) continue;
    std::fill_n(stack.low, guard, canary);
    fail("a thread's local variables are too large");
  }
#endif
}

}  // namespace

constinit thread_local Running running{};
int block_barrier(int predicate) { return active->barrier(predicate); }
const std::uint64_t* warp_exchange(unsigned mask, std::uint64_t value, int site) {
  return active->exchange(mask, value, site);
}

void require_lane(unsigned mask, int from) {
  const auto l = static_cast<unsigned>(from);
  if (!(mask >> l & 1u) || !active->exists(l)) fail("a shuffle reads a lane that takes no part");
}

unsigned ballot(unsigned mask, int predicate, int site) {
  const std::uint64_t* const votes = warp_exchange(mask, predicate != 0, site);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((mask >> i & 1u) && active->exists(i) && votes[i]) bits |= 1u << i;
  }
  return bits;
}

unsigned match_any(unsigned mask, std::uint64_t value, int site) {
  const std::uint64_t* const values = warp_exchange(mask, value, site);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((mask >> i & 1u) && active->exists(i) && values[i] == value) bits |= 1u << i;
  }
  return bits;
}

void set_reverse(bool reverse) { reversed = reverse; }
bool reverse() { return reversed; }

void run_grid(dim3 grid, dim3 threads, std::size_t shared_bytes, const std::function<void()>& body) {
  Scheduler scheduler(grid, threads, shared_bytes, body);
  struct Active {
    explicit Active(Scheduler* s) : before(std::exchange(active, s)), was(std::exchange(running, {nullptr, s})) {}
    ~Active() {
      active = before;
      running = was;
    }
    Scheduler* before;
    Running was;
  } const now(&scheduler);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) scheduler.run_block({x, y, z});
  scheduler.check_stacks();
}

}  // namespace fastntk::emulation
