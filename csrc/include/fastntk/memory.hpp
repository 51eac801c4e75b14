// Memory of a backend, and arrays in it.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace fastntk {

/// Uninitialised memory of B, aligned to 64 bytes. Throws OutOfMemory if there is not enough, BackendError without the
/// backend.
template <Backend B>
void* allocate(const B& backend, std::size_t bytes);

/// Gives it back once all work that may use it is done.
template <Backend B>
void deallocate(const B& backend, void* memory) noexcept;

/// Between the host and memory of B, in the backend's order; both have happened when the call returns.
template <Backend B>
void copy_in(const B& backend, const void* host, std::size_t bytes, void* memory);
template <Backend B>
void copy_out(const B& backend, const void* memory, std::size_t bytes, void* host);

/// Waits until the work queued so far is done, and throws what went wrong in it.
template <Backend B>
void finish(const B& backend);

/// a * b, of sizes in memory. Throws OutOfMemory if it is beyond size_t.
inline std::size_t checked_product(std::size_t a, std::size_t b) {
  if (b != 0 && a > std::numeric_limits<std::size_t>::max() / b)
    throw OutOfMemory("an array has more bytes than there are addresses");
  return a * b;
}

/// An array in the memory of B that outlives calls: an operator's constants, a state.
template <class T, Backend B>
class Buffer {
 public:
  Buffer() = default;
  /// Uninitialised.
  Buffer(const B& backend, std::size_t size)
      : backend_(backend),
        data_(size ? static_cast<T*>(allocate(backend, checked_product(size, sizeof(T)))) : nullptr),
        size_(size) {}
  Buffer(const B& backend, const std::vector<T>& values) : Buffer(backend, values.size()) {
    if (size_ > 0) copy_in(backend_, values.data(), size_ * sizeof(T), data_);
  }
  Buffer(Buffer&& other) noexcept
      : backend_(other.backend_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_) deallocate(backend_, data_);
  }

  const T* data() const { return data_; }
  T* data() { return data_; }
  std::size_t size() const { return size_; }
  std::vector<T> to_host() const {
    std::vector<T> values(size_);
    if (size_ > 0) copy_out(backend_, data_, size_ * sizeof(T), values.data());
    return values;
  }

 private:
  B backend_ = {};
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An owning row-major matrix in the memory of B, uninitialised.
template <class T, Backend B = Cpu>
class Array {
 public:
  Array(const B& backend, std::size_t rows, std::size_t cols)
      : memory_(backend, checked_product(rows, cols)), rows_(rows), cols_(cols) {}

  View<T, B> view() { return View<T, B>(memory_.data(), rows_, cols_); }
  View<const T, B> view() const { return View<const T, B>(memory_.data(), rows_, cols_); }

 private:
  Buffer<T, B> memory_;
  std::size_t rows_, cols_;
};

}  // namespace fastntk
