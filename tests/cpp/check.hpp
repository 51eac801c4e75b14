// A test harness of one header: TEST(name) { ... } registers a test, CHECK and CHECK_CLOSE record failures and go on, and
// run_tests() is what main returns.
#pragma once

#include <fastntk/config.hpp>
#include <fastntk/error.hpp>

#include <cmath>
#include <exception>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

namespace check {

/// CTest's SKIP_RETURN_CODE for these tests.
constexpr int skipped = 77;

/// Whether a sanitizer that slows the program down several times watches it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// How often a statistical test repeats its experiment: `count` times, but an eighth of that under a sanitizer, which looks
/// for other errors.
template <class Integer>
constexpr Integer repetitions(Integer count) {
  return sanitized ? static_cast<Integer>(count / 8) : count;
}

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> registered;
  return registered;
}

/// Failed checks so far; only the first few of a test are printed.
inline int& failures() {
  static int count = 0;
  return count;
}

inline void fail(const char* file, int line, const std::string& what) {
  constexpr int printed = 20;
  if (failures()++ < printed) std::cout << file << ":" << line << ": " << what << "\n";
}

inline bool holds(bool condition, const char* text, const char* file, int line) {
  if (!condition) fail(file, line, std::string("CHECK(") + text + ")");
  return condition;
}

/// |a - b| <= tolerance; never holds for NaN.
inline bool close(double a, double b, double tolerance, const char* text, const char* file, int line) {
  const bool near = std::abs(a - b) <= tolerance;
  if (!near) {
    std::string what = std::string("CHECK_CLOSE(") + text + "): ";
    what += std::to_string(a) + " and " + std::to_string(b) + " differ by " + std::to_string(std::abs(a - b) / tolerance);
    fail(file, line, what + " times the tolerance");
  }
  return near;
}

/// Whether `call` throws an E whose message contains `part`.
template <class E, class Call>
bool throws(Call&& call, const std::string& part) {
  try {
    call();
  } catch (const E& error) {
    return std::string(error.what()).find(part) != std::string::npos;
  }
  return false;
}

/// Runs every registered test, or those whose name contains the first argument; prints "N passed, N failed" last. Returns
/// `skipped` if FASTNTK_ISA names an instruction set that this machine lacks.
inline int run_tests(int argc = 0, char** argv = nullptr) {
  try {
    std::cout << "instruction set: " << fastntk::config().instruction_set << "\n";
  } catch (const fastntk::BackendError& error) {
    std::cout << "skipped: " << error.what() << "\n";
    return skipped;
  }
  int passed = 0;
  int failed = 0;
  for (const Test& test : tests()) {
    if (argc > 1 && std::string(test.name).find(argv[1]) == std::string::npos) continue;
    failures() = 0;
    try {
      test.run();
    } catch (const std::exception& error) {
      fail(test.name, 0, std::string("threw: ") + error.what());
    }
    if (failures() == 0) {
      ++passed;
    } else {
      ++failed;
      std::cout << "FAILED " << test.name << " (" << failures() << " checks)\n";
    }
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(test_name)                                                                                                  \
  static void test_name();                                                                                               \
  [[maybe_unused]] static const bool test_name##_registered = (check::tests().push_back({#test_name, test_name}), true); \
  static void test_name()

/// Records a failure unless the condition holds; its value is the condition, so that a loop can stop at the first failure.
#define CHECK(...) check::holds(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_CLOSE(a, b, tolerance)                                                                                 \
  check::close(static_cast<double>(a), static_cast<double>(b), static_cast<double>(tolerance), #a ", " #b, __FILE__, \
               __LINE__)
