// The kinds of failure that the library reports.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace fastntk {

/// A bad argument: the message names the argument, what it was and what is allowed.
struct Error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// A model file that is damaged, of another format or version, or beyond what the reader can do: the message says which.
struct ModelFileError : Error {
  using Error::Error;
};

/// A backend that is not there: the message says what is missing and how to get it.
struct BackendError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Memory that a backend does not have, or may not take: the message gives the bytes. What was asked of it has not happened,
/// and objects are as before.
struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// Throws Error with `message` unless `condition` holds.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw Error(message);
}

/// Throws Error with the message that `describe()` returns unless `condition` holds; the text is built only on failure.
template <class Describe>
  requires requires(Describe d) { std::string(d()); }
inline void require(bool condition, Describe&& describe) {
  if (!condition) throw Error(describe());
}

}  // namespace fastntk
