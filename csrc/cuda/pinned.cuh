// Host memory that the device reads and writes by itself, and streams and events that are given back.
#pragma once

#include <cstddef>
#include <utility>

#include "runtime.cuh"

namespace fastntk::cuda {

/// Page-locked memory, or ordinary memory where there is none: then copies are slower and otherwise the same. What is given
/// back is kept for later, up to a few pieces, because locking pages takes longer than copying them.
class StagingMemory {
 public:
  explicit StagingMemory(std::size_t bytes);
  ~StagingMemory();
  StagingMemory(const StagingMemory&) = delete;
  StagingMemory& operator=(const StagingMemory&) = delete;

  void* data() const { return memory_; }

 private:
  void* memory_;
  std::size_t bytes_;
  bool pinned_;
};

/// An event, or a stream that does not wait for the default stream, of the current device.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  /// Of the work queued on `stream` so far.
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "recording an event"); }
  /// Later work on `stream` waits for it.
  void delay(cudaStream_t stream) { check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event"); }
  /// Whether it has happened, or failed to.
  bool done() const {
    const bool ready = cudaEventQuery(event_) != cudaErrorNotReady;
    cudaGetLastError();  // "not ready" is an answer
    return ready;
  }
  /// The host waits for it.
  void wait() { check(cudaEventSynchronize(event_), "work on the device"); }

 private:
  cudaEvent_t event_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace fastntk::cuda
