#include "thread_pool.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fastntk::cpu {
namespace {

thread_local bool inside_region = false;

// One parallel region: threads take indices from a counter until none is left or one has thrown.
class Region {
 public:
  Region(std::size_t count, FunctionRef<void(std::size_t, int)> body) : count_(count), body_(body) {}

  void work(int worker) noexcept {
    const bool nested = std::exchange(inside_region, true);
    try {
      for (std::size_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) body_(i, worker);
    } catch (...) {
      next_.store(count_, std::memory_order_relaxed);
      const std::scoped_lock lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    inside_region = nested;
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::size_t count_;
  const FunctionRef<void(std::size_t, int)> body_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  ~Pool() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  // Runs the region on the caller and `helpers` workers.
  void run(Region& region, int helpers) {
    try {
      while (static_cast<int>(workers_.size()) < helpers) {
        const int id = static_cast<int>(workers_.size()) + 1;
        workers_.emplace_back([this, id] { serve(id); });
      }
    } catch (const std::system_error&) {
      // The system has no more threads to give: those that exist do the work.
      helpers = static_cast<int>(workers_.size());
    }
    {
      const std::scoped_lock lock(mutex_);
      region_ = &region;
      helpers_ = helpers;
      running_ = helpers;
      ++generation_;
    }
    wake_.notify_all();
    region.work(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void serve(int id) {
    std::uint64_t seen = 0;
    for (;;) {
      Region* region;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || (generation_ != seen && id <= helpers_); });
        if (stopping_) return;
        seen = generation_;
        region = region_;
      }
      region->work(id);
      const std::scoped_lock lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Region* region_ = nullptr;
  std::uint64_t generation_ = 0;
  int helpers_ = 0;
  int running_ = 0;
  bool stopping_ = false;
};

// The pool and the lock that gives it to one region at a time. A forked child inherits neither the workers nor a usable
// lock, so it starts with fresh ones; the parent's are left alone, because their threads do not exist here to be joined.
struct Process {
  pid_t pid = getpid();
  std::mutex busy;
  Pool pool;
};

Process& this_process() {
  static std::atomic<Process*> current = new Process;
  Process* process = current.load(std::memory_order_acquire);
  if (process->pid != getpid()) {
    auto fresh = std::make_unique<Process>();
    if (current.compare_exchange_strong(process, fresh.get())) process = fresh.release();
  }
  return *process;
}

}  // namespace

int available_threads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int threads = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed)
                                                                    : static_cast<int>(std::thread::hardware_concurrency());
  if (const char* limit = std::getenv("OMP_NUM_THREADS")) {
    const int requested = std::atoi(limit);
    if (requested > 0) threads = std::min(threads, requested);
  }
  return std::max(threads, 1);
}

void parallel_for(int threads, std::size_t count, FunctionRef<void(std::size_t, int)> body) {
  if (threads <= 0) threads = available_threads();
  threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threads), count));
  Region region(count, body);
  if (threads <= 1 || inside_region) {
    region.work(0);
  } else {
    Process& process = this_process();
    const std::unique_lock occupied(process.busy, std::try_to_lock);
    if (occupied.owns_lock()) {
      process.pool.run(region, threads - 1);
    } else {
      region.work(0);
    }
  }
  region.rethrow();
}

}  // namespace fastntk::cpu
