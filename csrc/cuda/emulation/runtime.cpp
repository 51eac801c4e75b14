#include "runtime.hpp"

#include <algorithm>
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
constexpr std::size_t device_bytes = std::size_t{4} << 30;
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

struct EmulatedPool {
  int device;
  std::size_t most;
  std::uint64_t used = 0;
};

struct CUstream_st {
  int device = 0;
  std::uint64_t queued = 0, finished = 0;
  std::deque<std::function<void()>> work;
};

struct EmulatedEvent {
  CUstream_st* stream = nullptr;
  std::uint64_t position = 0;
};

namespace {

struct Machine {
  std::map<std::string, Fault> faults;
  std::map<const std::byte*, Allocation> memory;
  std::vector<std::unique_ptr<CUstream_st>> streams;
  CUstream_st legacy[devices] = {{0, 0, 0, {}}, {1, 0, 0, {}}};
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

#define RETURN_IF_INJECTED(call) \
  const Lock lock(mutex());      \
  if (const cudaError_t error = injected(call); error != cudaSuccess) return give(error)

CUstream_st* resolve(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
    return &machine().legacy[current_device];
  return stream;
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
  // The default stream waits for all others of its device, and they for it.
  Machine& m = machine();
  if (&stream == &m.legacy[stream.device]) {
    for (auto& other : m.streams)
      if (other->device == stream.device) run(*other, other->queued);
  } else {
    run(m.legacy[stream.device], m.legacy[stream.device].queued);
  }
  ++stream.queued;
  stream.work.push_back(std::move(work));
}

void check_guards(const std::byte* memory, std::size_t bytes) {
  const auto intact = [](std::byte b) { return b == canary; };
  if (!std::all_of(memory - guard, memory, intact) || !std::all_of(memory + bytes, memory + bytes + guard, intact)) {
    machine().failure = "a kernel wrote outside an allocation of " + std::to_string(bytes) + " bytes";
    machine().broken = cudaErrorIllegalAddress;
  }
}

cudaError_t take(void** memory, std::size_t bytes, cudaMemoryType type, EmulatedPool* pool) {
  Machine& m = machine();
  const int device = pool ? pool->device : current_device;
  const bool on_device = type == cudaMemoryTypeDevice;
  if (on_device && m.used[device] + bytes > device_bytes) return give(cudaErrorMemoryAllocation);
  if (pool && pool->most > 0 && pool->used + bytes > pool->most) return give(cudaErrorMemoryAllocation);
#if defined(__SANITIZE_ADDRESS__)
  auto* const data = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{256}));
#else
  auto* const base = static_cast<std::byte*>(::operator new(bytes + 2 * guard, std::align_val_t{256}));
  std::fill_n(base, bytes + 2 * guard, canary);
  std::byte* const data = base + guard;
#endif
  std::memset(data, 0xff, bytes);
  m.memory[data] = {bytes, device, type, pool};
  if (on_device) m.used[device] += bytes;
  if (pool) pool->used += bytes;
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
  if (a.type == cudaMemoryTypeDevice) m.used[a.device] -= a.bytes;
  if (a.pool) a.pool->used -= a.bytes;
#if defined(__SANITIZE_ADDRESS__)
  ::operator delete(data, std::align_val_t{256});
#else
  check_guards(data, a.bytes);
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

void clear_faults() {
  const Lock lock(mutex());
  machine().faults.clear();
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

std::size_t memory_in_use() {
  const Lock lock(mutex());
  std::size_t bytes = 0;
  for (const auto& [data, a] : machine().memory) bytes += a.bytes;
  return bytes;
}

}  // namespace fastntk::emulation

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  RETURN_IF_INJECTED("cudaDriverGetVersion");
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
  *value = attribute == cudaDevAttrMultiProcessorCount ? 4 : attribute == cudaDevAttrL2CacheSize ? 1 << 20 : 227 << 10;
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
  *free = device_bytes - machine().used[current_device];
  *total = device_bytes;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  RETURN_IF_INJECTED("cudaDeviceSynchronize");
  return run_all(current_device);
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
  *pool = new EmulatedPool{properties->location.id, properties->maxSize};
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

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) {
  RETURN_IF_INJECTED("cudaMemPoolTrimTo");
  return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t) {
  RETURN_IF_INJECTED("cudaMallocFromPoolAsync");
  return take(memory, bytes, cudaMemoryTypeDevice, pool);
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

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  RETURN_IF_INJECTED("cudaStreamCreateWithFlags");
  machine().streams.push_back(std::make_unique<CUstream_st>());
  machine().streams.back()->device = current_device;
  *stream = machine().streams.back().get();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaStreamDestroy");
  run(*stream, stream->queued);
  std::erase_if(machine().streams, [=](const auto& s) { return s.get() == stream; });
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  RETURN_IF_INJECTED("cudaStreamSynchronize");
  CUstream_st* const resolved = resolve(stream);
  return run(*resolved, resolved->queued);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  RETURN_IF_INJECTED("cudaStreamWaitEvent");
  if (event->stream == nullptr) return cudaSuccess;
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
  RETURN_IF_INJECTED("cudaEventSynchronize");
  return event->stream ? run(*event->stream, event->position) : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  RETURN_IF_INJECTED("cudaEventQuery");
  return !event->stream || event->stream->finished >= event->position ? cudaSuccess : cudaErrorNotReady;
}
