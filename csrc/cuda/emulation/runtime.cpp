#include "runtime.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "fibers.hpp"

namespace {

constexpr int devices = 2;
constexpr std::size_t most_device_bytes = std::size_t{4} << 30;
constexpr std::size_t guard = 256;
constexpr auto canary = std::byte{0xa5};

// Calls from several threads are serialised; a lazy stream runs inside another's wait, hence recursive.
std::recursive_mutex& mutex() {
  static std::recursive_mutex m;
  return m;
}
using Lock = std::lock_guard<std::recursive_mutex>;

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

struct Fault {
  cudaError_t error;
  int skip;
  int count;
};

struct Allocation {
  std::size_t bytes;
  int device;
  cudaMemoryType type;
  EmulatedPool* pool;
};

}  // namespace

// `reserved` bytes have been taken from the device and are kept for later calls.
struct EmulatedPool {
  int device;
  std::uint64_t used = 0, reserved = 0;
};

struct CUstream_st {
  int device = 0;
  bool waits_for_default = true;
  bool eager = false;
  std::uint64_t queued = 0, finished = 0;
  std::deque<std::function<void()>> work = {};
};

struct EmulatedEvent {
  CUstream_st* stream = nullptr;
  std::uint64_t position = 0;
};

namespace {

struct Machine {
  // A kernel may have failed where nobody could be told: while memory was given back.
  ~Machine() {
    if (broken == cudaSuccess) return;
    std::fprintf(stderr, "a failure of the device was never reported: %s\n", failure.c_str());
    std::_Exit(1);
  }

  std::map<std::string, Fault> faults;
  std::map<std::string, int> calls;
  std::map<std::string, int> omitted;  // how many calls come before
  bool eager = false;
  std::size_t device_bytes = most_device_bytes;
  bool pools = true;
  std::map<const std::byte*, Allocation> memory;
  std::vector<std::unique_ptr<CUstream_st>> streams, ended;
  CUstream_st legacy[devices] = {{.device = 0}, {.device = 1}};
  std::size_t used[devices] = {};
  cudaError_t broken = cudaSuccess;  // by a kernel, until it is read
  std::string failure;
};

Machine& machine() {
  static Machine m;
  return m;
}

cudaError_t give(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t injected(const char* call) {
  ++machine().calls[call];
  const auto found = machine().faults.find(call);
  if (found == machine().faults.end()) return cudaSuccess;
  Fault& fault = found->second;
  if (fault.skip > 0) {
    --fault.skip;
    return cudaSuccess;
  }
  if (fault.count == 0) return cudaSuccess;
  if (fault.count > 0) --fault.count;
  return fault.error;
}

bool omitted(const char* call) {
  const auto found = machine().omitted.find(call);
  return found != machine().omitted.end() && found->second-- == 0;
}

#define RETURN_IF_INJECTED(call)     \
  const Lock injected_lock(mutex()); \
  if (const cudaError_t fault = injected(call); fault != cudaSuccess) return give(fault)

CUstream_st* resolve(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
    return &machine().legacy[current_device];
  return stream;
}

// Whether the bytes around all allocations are as they were: called after every piece of work.
void check_guards([[maybe_unused]] int device) {
#if !defined(__SANITIZE_ADDRESS__)
  static const std::vector<std::byte> expected(guard, canary);
  Machine& m = machine();
  for (const auto& [memory, a] : m.memory) {
    if (a.device != device) continue;
    if (std::memcmp(memory - guard, expected.data(), guard) == 0 &&
        std::memcmp(memory + a.bytes, expected.data(), guard) == 0)
      continue;
    auto* const data = const_cast<std::byte*>(memory);
    std::fill_n(data - guard, guard, canary);
    std::fill_n(data + a.bytes, guard, canary);
    m.failure = "CUDA emulation: a write outside an allocation of " + std::to_string(a.bytes) + " bytes";
    m.broken = cudaErrorIllegalAddress;
  }
#endif
}

// Runs a stream's work up to `position`.
cudaError_t run(CUstream_st& stream, std::uint64_t position) {
  while (stream.finished < position && !stream.work.empty()) {
    const std::function<void()> next = std::move(stream.work.front());
    stream.work.pop_front();
    ++stream.finished;
    if (machine().broken != cudaSuccess) continue;
    try {
      next();
      check_guards(stream.device);
    } catch (const std::exception& error) {
      machine().failure = error.what();
      machine().broken = cudaErrorLaunchFailure;
    }
  }
  return give(machine().broken);
}

cudaError_t run_all(int device) {
  Machine& m = machine();
  for (auto& stream : m.streams)
    if (stream->device == device) run(*stream, stream->queued);
  return run(m.legacy[device], m.legacy[device].queued);
}

void push(CUstream_st& stream, std::function<void()> work) {
  // The default stream waits for all others of its device that are not cudaStreamNonBlocking, and they for it.
  Machine& m = machine();
  if (&stream == &m.legacy[stream.device]) {
    for (auto& other : m.streams)
      if (other->device == stream.device && other->waits_for_default) run(*other, other->queued);
  } else if (stream.waits_for_default) {
    run(m.legacy[stream.device], m.legacy[stream.device].queued);
  }
  ++stream.queued;
  stream.work.push_back(std::move(work));
  if (stream.eager) run(stream, stream.queued);
}

cudaError_t take(void** memory, std::size_t bytes, cudaMemoryType type, EmulatedPool* pool) {
  Machine& m = machine();
  const int device = pool ? pool->device : current_device;
  std::size_t fresh = type == cudaMemoryTypeDevice ? bytes : 0;
  if (pool) fresh = std::max(pool->reserved, pool->used + bytes) - pool->reserved;
  if (m.used[device] + fresh > m.device_bytes) return give(cudaErrorMemoryAllocation);
#if defined(__SANITIZE_ADDRESS__)
  auto* const data = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{256}));
#else
  auto* const base = static_cast<std::byte*>(::operator new(bytes + 2 * guard, std::align_val_t{256}));
  std::fill_n(base, bytes + 2 * guard, canary);
  std::byte* const data = base + guard;
#endif
  if (!pool) std::memset(data, 0xff, bytes);
  m.memory[data] = {bytes, device, type, pool};
  m.used[device] += fresh;
  if (pool) {
    pool->used += bytes;
    pool->reserved += fresh;
  }
  *memory = data;
  return cudaSuccess;
}

cudaError_t give_back(void* memory) {
  if (!memory) return cudaSuccess;
  Machine& m = machine();
  auto* const data = static_cast<std::byte*>(memory);
  const auto found = m.memory.find(data);
  if (found == m.memory.end()) return give(cudaErrorInvalidValue);
  const Allocation& a = found->second;
  check_guards(a.device);
  if (a.pool) {
    a.pool->used -= a.bytes;
  } else if (a.type == cudaMemoryTypeDevice) {
    m.used[a.device] -= a.bytes;
  }
#if defined(__SANITIZE_ADDRESS__)
  ::operator delete(data, std::align_val_t{256});
#else
  ::operator delete(data - guard, std::align_val_t{256});
#endif
  m.memory.erase(found);
  return cudaSuccess;
}

}  // namespace

namespace fastntk::emulation {

cudaError_t enqueue(const char* call, cudaStream_t stream, std::function<void()> work) {
  RETURN_IF_INJECTED(call);
  if (machine().broken != cudaSuccess) return give(machine().broken);
  push(*resolve(stream), std::move(work));
  return cudaSuccess;
}

void inject_fault(const char* call, cudaError_t error, int skip, int count) {
  const Lock lock(mutex());
  machine().faults[call] = {error, skip, count};
}

void inject_fault_number(const char* call, int error, int skip, int count) {
  inject_fault(call, static_cast<cudaError_t>(error), skip, count);
}

void clear_faults() {
  const Lock lock(mutex());
  machine().faults.clear();
  machine().omitted.clear();
  machine().device_bytes = most_device_bytes;
  machine().eager = false;
  machine().broken = cudaSuccess;
  machine().failure.clear();
  last_error = cudaSuccess;
}

const char* last_failure() {
  static std::string text;
  const Lock lock(mutex());
  text = std::exchange(machine().failure, {});
  machine().broken = cudaSuccess;
  last_error = cudaSuccess;
  return text.c_str();
}

void omit(const char* call, int skip) {
  const Lock lock(mutex());
  machine().omitted[call] = skip;
}

void set_eager(bool eager) {
  const Lock lock(mutex());
  machine().eager = eager;
}

std::map<std::string, int> calls() {
  const Lock lock(mutex());
  return machine().calls;
}

void set_pools(bool supported) {
  const Lock lock(mutex());
  machine().pools = supported;
}

void limit_memory(std::size_t bytes) {
  const Lock lock(mutex());
  machine().device_bytes = bytes;
}

std::size_t memory_in_use() {
  const Lock lock(mutex());
  std::size_t bytes = 0;
  for (const auto& [data, a] : machine().memory) bytes += a.bytes;
  return bytes;
}

cudaStream_t make_stream(int device) {
  const Lock lock(mutex());
  const int before = std::exchange(current_device, device);
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  current_device = before;
  return stream;
}

}  // namespace fastntk::emulation

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  RETURN_IF_INJECTED("cudaDriverGetVersion");
  *version = 12020;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  RETURN_IF_INJECTED("cudaGetDeviceCount");
  *count = devices;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  RETURN_IF_INJECTED("cudaGetDevice");
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  RETURN_IF_INJECTED("cudaSetDevice");
  if (device < 0 || device >= devices) return give(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  RETURN_IF_INJECTED("cudaDeviceGetAttribute");
  if (device < 0 || device >= devices) return give(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = (device == 0 ? 227 : 99) << 10;  // as compute capability 9.0, and 8.6
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = machine().pools;
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  RETURN_IF_INJECTED("cudaGetDeviceProperties");
  if (device < 0 || device >= devices) return give(cudaErrorInvalidDevice);
  std::strcpy(properties->name, "emulated on the host");
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  RETURN_IF_INJECTED("cudaMemGetInfo");
  Machine& m = machine();
  *free = m.device_bytes - std::min(m.device_bytes, m.used[current_device]);
  *total = m.device_bytes;
  return cudaSuccess;
}

// A wait that fails has waited: what it waited for does not happen later.
cudaError_t cudaDeviceSynchronize() {
  const Lock lock(mutex());
  const cudaError_t error = run_all(current_device);
  RETURN_IF_INJECTED("cudaDeviceSynchronize");
  return error;
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorDevicesUnavailable:
      return "CUDA-capable device(s) is/are busy or unavailable";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return machine().failure.empty() ? "an emulated error" : machine().failure.c_str();
  }
}

const char* cudaGetErrorName(cudaError_t error) { return error == cudaSuccess ? "cudaSuccess" : "cudaErrorEmulated"; }

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  RETURN_IF_INJECTED("cudaMalloc");
  return take(memory, bytes, cudaMemoryTypeDevice, nullptr);
}

cudaError_t cudaFree(void* memory) {
  RETURN_IF_INJECTED("cudaFree");
  for (int device = 0; device < devices; ++device) run_all(device);
  return give_back(memory);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  RETURN_IF_INJECTED("cudaHostAlloc");
  return take(memory, bytes, cudaMemoryTypeHost, nullptr);
}

cudaError_t cudaFreeHost(void* memory) {
  RETURN_IF_INJECTED("cudaFreeHost");
  for (int device = 0; device < devices; ++device) run_all(device);
  return give_back(memory);
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  RETURN_IF_INJECTED("cudaMemPoolCreate");
  *pool = new EmulatedPool{properties->location.id};
  return cudaSuccess;
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  RETURN_IF_INJECTED("cudaMemPoolDestroy");
  delete pool;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  RETURN_IF_INJECTED("cudaMemPoolSetAttribute");
  return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  RETURN_IF_INJECTED("cudaMemPoolGetAttribute");
  *static_cast<std::uint64_t*>(value) = pool->used;
  return cudaSuccess;
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t bytes) {
  RETURN_IF_INJECTED("cudaMemPoolTrimTo");
  const std::uint64_t kept = std::min<std::uint64_t>(pool->reserved, std::max<std::uint64_t>(pool->used, bytes));
  machine().used[pool->device] -= pool->reserved - kept;
  pool->reserved = kept;
  return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaMallocFromPoolAsync");
  // Memory that earlier work of the stream gives back is there for later work at once.
  CUstream_st* const resolved = resolve(stream);
  if (pool->used + bytes > pool->reserved) run(*resolved, resolved->queued);
  const cudaError_t error = take(memory, bytes, cudaMemoryTypeDevice, pool);
  // Until the stream comes here, its earlier work may use the same memory.
  if (error == cudaSuccess) push(*resolved, [data = *memory, bytes] { std::memset(data, 0xff, bytes); });
  return error;
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaFreeAsync");
  push(*resolve(stream), [=] { give_back(memory); });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return fastntk::emulation::enqueue("cudaMemcpyAsync", stream, [=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                              std::size_t height, cudaMemcpyKind, cudaStream_t stream) {
  return fastntk::emulation::enqueue("cudaMemcpy2DAsync", stream, [=] {
    for (std::size_t r = 0; r < height; ++r)
      std::memcpy(static_cast<char*>(to) + r * to_pitch, static_cast<const char*>(from) + r * from_pitch, width);
  });
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  return fastntk::emulation::enqueue("cudaMemsetAsync", stream, [=] { std::memset(memory, value, bytes); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  RETURN_IF_INJECTED("cudaPointerGetAttributes");
  const auto* const data = static_cast<const std::byte*>(memory);
  auto found = machine().memory.upper_bound(data);
  *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, nullptr};
  if (found == machine().memory.begin()) return cudaSuccess;
  --found;
  if (data < found->first + std::max<std::size_t>(found->second.bytes, 1))
    *attributes = {found->second.type, found->second.device, const_cast<void*>(memory), nullptr};
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  RETURN_IF_INJECTED("cudaStreamCreateWithFlags");
  machine().streams.push_back(std::make_unique<CUstream_st>());
  machine().streams.back()->device = current_device;
  machine().streams.back()->eager = machine().eager;
  machine().streams.back()->waits_for_default = (flags & cudaStreamNonBlocking) == 0;
  *stream = machine().streams.back().get();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaStreamDestroy");
  run(*stream, stream->queued);
  // Its events live on.
  auto& streams = machine().streams;
  const auto found = std::find_if(streams.begin(), streams.end(), [=](const auto& s) { return s.get() == stream; });
  machine().ended.push_back(std::move(*found));
  streams.erase(found);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(mutex());
  CUstream_st* const resolved = resolve(stream);
  const cudaError_t error = run(*resolved, resolved->queued);
  RETURN_IF_INJECTED("cudaStreamSynchronize");
  return error;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  RETURN_IF_INJECTED("cudaStreamWaitEvent");
  if (omitted("cudaStreamWaitEvent") || event->stream == nullptr) return cudaSuccess;
  push(*resolve(stream), [awaited = *event] { run(*awaited.stream, awaited.position); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  RETURN_IF_INJECTED("cudaEventCreateWithFlags");
  *event = new EmulatedEvent;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  RETURN_IF_INJECTED("cudaEventDestroy");
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaEventRecord");
  CUstream_st* const resolved = resolve(stream);
  *event = {resolved, resolved->queued};
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(mutex());
  if (omitted("cudaEventSynchronize")) return cudaSuccess;
  const cudaError_t error = event->stream ? run(*event->stream, event->position) : cudaSuccess;
  RETURN_IF_INJECTED("cudaEventSynchronize");
  return error;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  RETURN_IF_INJECTED("cudaEventQuery");
  return !event->stream || event->stream->finished >= event->position ? cudaSuccess : cudaErrorNotReady;
}
