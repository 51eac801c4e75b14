// Objects that calls change without holding the GIL: from several threads, these calls run one after the other.
#pragma once

#include <pybind11/pybind11.h>

#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace fastntk::python {

/// A lock for which no process waits in vain: one that a thread held when the process was forked is never given back in the
/// child, where the object is in the middle of a change.
class TurnLock {
 public:
  /// Throws std::runtime_error in such a child.
  void lock() {
    const pid_t process = getpid();
    for (pid_t holder = 0; !holder_.compare_exchange_strong(holder, process, std::memory_order_acquire); holder = 0) {
      if (holder != process)
        throw std::runtime_error("the object was being changed by another thread at the fork of this process");
      holder_.wait(holder, std::memory_order_relaxed);
    }
  }

  void unlock() {
    holder_.store(0, std::memory_order_release);
    holder_.notify_one();
  }

 private:
  std::atomic<pid_t> holder_ = 0;  // the process
};

/// An object and its lock, which goes with it wherever Python has it.
template <class T>
class InTurn {
 public:
  template <class... Arguments>
  explicit InTurn(Arguments&&... arguments) : object_(std::forward<Arguments>(arguments)...) {}

  /// What never changes can be read without a turn.
  const T& fixed() const { return object_; }

  /// f(object), without the GIL. The lock is waited for without it, too: so a thread that has a lock gets the GIL whenever
  /// it needs it, and each thread that waits for a lock leaves the others going.
  template <class F>
  auto operator()(F&& f) {
    const pybind11::gil_scoped_release unlocked;
    const std::lock_guard turn(lock_);
    return f(object_);
  }

  /// f(object, other), both locked, in an order that all threads share.
  template <class F>
  auto with(InTurn& other, F&& f) {
    const pybind11::gil_scoped_release unlocked;
    const bool before = std::less<>()(this, &other);
    const std::lock_guard turn((before ? *this : other).lock_);
    std::unique_lock second((before ? other : *this).lock_, std::defer_lock);
    if (this != &other) second.lock();
    return f(object_, other.object_);
  }

 private:
  T object_;
  TurnLock lock_;
};

}  // namespace fastntk::python
