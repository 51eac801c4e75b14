// The emulation finds what it is there to find: each test plants a mistake.
#include <fastntk/error.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

#include "../../csrc/cuda/runtime.cuh"
#include "device.hpp"
#include "stream.hpp"

namespace {

using device::Stream;
using fastntk::BackendError;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::cuda::launch;
namespace emulation = fastntk::emulation;

enum class Wait { none, warp, block };

__global__ void reverse_kernel(const float* in, float* out, Wait wait) {
  float* const shared = fastntk::cuda::shared_memory<float>();
  shared[threadIdx.x] = in[threadIdx.x];
  if (wait == Wait::block) __syncthreads();
  if (wait == Wait::warp) __syncwarp();
  out[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

bool reverses(unsigned threads, Wait wait) {
  const sketches::Matrix<float> x = sketches::random_rows<float>(1, threads);
  const device::DeviceMatrix<float> in(x);
  device::DeviceMatrix<float> out(1, threads);
  launch(Cuda(), {1, threads, threads * sizeof(float)}, reverse_kernel, in.view().data, out.view().data, wait);
  const sketches::Matrix<float> found = out.to_host();
  for (std::size_t i = 0; i < threads; ++i)
    if (found(0, i) != x(0, threads - 1 - i)) return false;
  return true;
}

TEST(a_missing_barrier_shows) {
  CHECK(reverses(128, Wait::block));
  CHECK(!reverses(128, Wait::none));
  CHECK(!reverses(128, Wait::warp));
  CHECK(reverses(32, Wait::warp));
  CHECK(!reverses(32, Wait::none));
}

// What the device reports after `kernel`, and that it is as good as new afterwards.
template <class... Parameters, class... Arguments>
bool fails(const char* part, const fastntk::cuda::Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  launch(Cuda(), grid, kernel, arguments...);
  const bool told = check::throws<BackendError>([] { fastntk::finish(Cuda()); }, part);
  emulation::clear_faults();
  return told && reverses(64, Wait::block);
}

__global__ void leave_before_barrier_kernel() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void different_barriers_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncwarp(0x3u << (threadIdx.x & 31u));
  }
}
__global__ void missing_lane_kernel(float* out) { out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20); }
__global__ void stranger_kernel(float* out) { out[threadIdx.x] = __shfl_sync(0x1u, 1.0f, 0); }
__global__ void divergent_shuffle_kernel(float* out) {
  out[threadIdx.x] = 0;
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
__global__ void large_block_kernel() {}

TEST(threads_that_do_not_meet_are_found) {
  const Buffer<float, Cuda> memory(Cuda(), 64);
  float* const out = const_cast<float*>(memory.data());
  CHECK(fails("after some threads of the block have ended", {1, 64}, leave_before_barrier_kernel));
  CHECK(fails("different barriers", {1, 64}, different_barriers_kernel));
  CHECK(fails("reads a lane that takes no part", {1, 16}, missing_lane_kernel, out));
  CHECK(fails("a lane that its mask leaves out", {1, 32}, stranger_kernel, out));
  CHECK(fails("different barriers", {1, 32}, divergent_shuffle_kernel, out));
  CHECK(fails("1 to 1024 are possible", {1, 1025}, large_block_kernel));
  const auto launch_large = [] { launch(Cuda(), {1, 32, 228 << 10}, large_block_kernel); };
  CHECK(check::throws<fastntk::BackendError>(launch_large, "shared memory for a kernel"));
}

__global__ void read_shared_kernel(float* out) { *out = fastntk::cuda::shared_memory<float>()[3]; }

TEST(memory_nobody_wrote_is_nan) {
  Buffer<float, Cuda> out(Cuda(), 9);
  for (const float value : out.to_host()) CHECK(std::isnan(value));
  launch(Cuda(), {1, 1, 16}, read_shared_kernel, out.data());
  CHECK(std::isnan(out.to_host()[0]));
}

__global__ void set_kernel(float* out, float value) { *out = value; }
__global__ void copy_kernel(const float* in, float* out) { *out = *in; }

TEST(a_missing_event_shows) {
  for (const bool wait : {true, false}) {
    const Stream producer, consumer;
    Buffer<float, Cuda> x(Cuda(), 1), y(Cuda(), 1);
    cudaEvent_t event = nullptr;
    CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    launch(producer.backend(), {1, 1}, set_kernel, x.data(), 7.0f);
    CHECK(cudaEventRecord(event, producer.stream()) == cudaSuccess);
    if (wait) CHECK(cudaStreamWaitEvent(consumer.stream(), event) == cudaSuccess);
    launch(consumer.backend(), {1, 1}, copy_kernel, x.data(), y.data());
    fastntk::finish(consumer.backend());
    CHECK((y.to_host()[0] == 7) == wait);
    cudaEventDestroy(event);
  }
}

TEST(the_default_stream_waits_for_others_that_do_not_mind) {
  for (const unsigned flags : {0u, cudaStreamNonBlocking}) {
    cudaStream_t stream = nullptr;
    CHECK(cudaStreamCreateWithFlags(&stream, flags) == cudaSuccess);
    Buffer<float, Cuda> x(Cuda(), 1), y(Cuda(), 1);
    launch({.stream = stream}, {1, 1}, set_kernel, x.data(), 7.0f);
    launch(Cuda(), {1, 1}, copy_kernel, x.data(), y.data());
    CHECK((y.to_host()[0] == 7) == (flags == 0));
    cudaStreamDestroy(stream);
  }
}

TEST(a_staging_buffer_that_is_reused_too_early_shows) {
  for (const bool wait : {true, false}) {
    const Stream stream;
    Buffer<float, Cuda> x(Cuda(), 1);
    void* staging = nullptr;
    CHECK(cudaHostAlloc(&staging, sizeof(float), cudaHostAllocDefault) == cudaSuccess);
    float value = 1;
    std::memcpy(staging, &value, sizeof value);
    CHECK(cudaMemcpyAsync(x.data(), staging, sizeof value, cudaMemcpyHostToDevice, stream.stream()) == cudaSuccess);
    if (wait) fastntk::finish(stream.backend());
    value = 2;
    std::memcpy(staging, &value, sizeof value);
    fastntk::finish(stream.backend());
    CHECK((x.to_host()[0] == 1) == wait);
    cudaFreeHost(staging);
  }
}

TEST(memory_of_a_stream_is_not_for_its_earlier_work) {
  const Stream stream, other;
  cudaMemPoolProps properties{};
  properties.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool = nullptr;
  CHECK(cudaMemPoolCreate(&pool, &properties) == cudaSuccess);
  void* memory = nullptr;
  CHECK(cudaMallocFromPoolAsync(&memory, sizeof(float), pool, stream.stream()) == cudaSuccess);
  launch(other.backend(), {1, 1}, set_kernel, static_cast<float*>(memory), 1.0f);
  fastntk::finish(other.backend());
  float value = 0;
  fastntk::copy_out(stream.backend(), memory, sizeof value, &value);
  CHECK(std::isnan(value));
  cudaFreeAsync(memory, stream.stream());
  fastntk::finish(stream.backend());
  cudaMemPoolDestroy(pool);
}

// Mistakes after which a process may not go on: they are planted in another one, this program with the mistake's name.
__global__ void write_shared_kernel(int i) { fastntk::cuda::shared_memory<float>()[i] = 1; }
__global__ void write_kernel(float* out, int i) { out[i] = 1; }
__global__ void read_kernel(const float* in, int i, float* out) { *out = in[i]; }
__global__ void large_locals_kernel(float* out, int i) {
  volatile float local[8500];  // 34 kB
  for (int k = 0; k < 8500; ++k) local[k] = 1;
  out[0] = local[i];
}

const std::map<std::string, void (*)()> plants{
    {"write behind shared memory", [] { launch(Cuda(), {1, 1, 40}, write_shared_kernel, 10); }},
    {"write before shared memory", [] { launch(Cuda(), {1, 1, 40}, write_shared_kernel, -1); }},
    {"write behind an array",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 1}, write_kernel, x.data(), 10);
       fastntk::finish(Cuda());
     }},
    {"write before an array",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 1}, write_kernel, x.data(), -1);
       fastntk::finish(Cuda());
     }},
    {"read behind an array",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 1}, read_kernel, x.data(), 10, x.data());
       fastntk::finish(Cuda());
     }},
    {"read behind shared memory",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 1, 12}, read_shared_kernel, x.data());
       fastntk::finish(Cuda());
     }},
    {"use of freed memory",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       float* const gone = x.data();
       x = {};
       launch(Cuda(), {1, 1}, write_kernel, gone, 3);
       fastntk::finish(Cuda());
     }},
    {"large local variables",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 1}, large_locals_kernel, x.data(), 3);
       fastntk::finish(Cuda());
     }},
    // Nobody waits for the kernel but the destructor, which cannot throw.
    {"a failure that nobody reads",
     [] {
       Buffer<float, Cuda> x(Cuda(), 10);
       launch(Cuda(), {1, 16}, missing_lane_kernel, x.data());
     }},
    {"nothing", [] {}},
};

struct Outcome {
  bool failed;
  std::string text;
};

Outcome run_plant(const std::string& name) {
  std::array<char, 4096> self{};
  CHECK(readlink("/proc/self/exe", self.data(), self.size() - 1) > 0);
  std::string command = self.data();
  command += " plant '";
  command += name;
  command += "' 2>&1";
  std::FILE* const child = popen(command.c_str(), "r");
  Outcome outcome;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), child)) outcome.text += line.data();
  outcome.failed = pclose(child) != 0;
  return outcome;
}

// With the address sanitizer, its words; without, those of the guards around memory, or null where only it sees the mistake.
void check_plant(const char* name, const char* guards, const char* sanitizer) {
  const char* const expected = check::sanitized ? sanitizer : guards;
  if (!expected) return;
  const Outcome outcome = run_plant(name);
  if (!CHECK(outcome.failed && outcome.text.find(expected) != std::string::npos))
    std::cout << name << ": " << outcome.text.substr(0, 500) << "\n";
}

TEST(accesses_outside_memory_are_found) {
  CHECK(!run_plant("nothing").failed);
  check_plant("write behind shared memory", "wrote outside its shared memory", "AddressSanitizer");
  check_plant("write before shared memory", "wrote outside its shared memory", "AddressSanitizer");
  check_plant("write behind an array", "a write outside an allocation of 40 bytes",
              "AddressSanitizer: heap-buffer-overflow");
  check_plant("write before an array", "a write outside an allocation of 40 bytes",
              "AddressSanitizer: heap-buffer-overflow");
  check_plant("read behind an array", nullptr, "AddressSanitizer: heap-buffer-overflow");
  check_plant("read behind shared memory", nullptr, "AddressSanitizer");
  check_plant("use of freed memory", nullptr, "AddressSanitizer: heap-use-after-free");
  check_plant("large local variables", "local variables are too large", nullptr);
}

TEST(a_failure_that_nobody_reads_fails_the_program) {
  const Outcome outcome = run_plant("a failure that nobody reads");
  CHECK(outcome.failed && outcome.text.find("never reported") != std::string::npos);
}

int plant(const std::string& name) {
  try {
    plants.at(name)();
    if (name != "a failure that nobody reads") fastntk::finish(Cuda());
  } catch (const BackendError& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "plant") return plant(argv[2]);
  return device::run_tests(argc, argv);
}
