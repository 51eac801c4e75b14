// What the benchmarks share: timing of contenders in turn, the memory floors, and the JSON line that is printed.
//
// A benchmark first checks its own result (bench::require), then times the operation and the bound it is judged by in turn,
// so that a change of the machine's speed meets both, and prints one line per case:
//
//   auto times = bench::alternate({[&] { operation(); }, [&] { bench::scale(x, n, 1.0f); }});
//   bench::print({.op = "fwht", .dtype = "float32", .shape = "128x1024", .times = times[0], .work = 2 * n * sizeof(float),
//                 .unit = "GB/s", .floor = "in-place scale", .floor_times = times[1], .floor_work = 2 * n * sizeof(float)});
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bench {

/// Seconds per call of one contender, one entry per round.
using Times = std::vector<double>;

double median(Times times);

/// Times all contenders in turn, `rounds` times; a round calls each as often as fills `seconds`, and then `wait`, which
/// counts: for calls that only queue their work.
std::vector<Times> alternate(
    const std::vector<std::function<void()>>& contenders, int rounds = 21, double seconds = 2e-3,
    const std::function<void()>& wait = [] {});

/// x *= factor, by the widest vectors of the machine this is built on: the bound of work in place.
void scale(float* x, std::size_t n, float factor);
void scale(double* x, std::size_t n, double factor);

/// out = x with stores that bypass the cache: the bound of work out of place that does not fit the cache.
void stream_copy(const float* x, float* out, std::size_t n);
void stream_copy(const double* x, double* out, std::size_t n);

/// Memory aligned to 2 MiB, in huge pages where the system gives them, filled with reproducible values in [-1, 1).
template <class T>
class Array {
 public:
  explicit Array(std::size_t size);
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }

 private:
  struct Free {
    void operator()(T* p) const;
  };
  std::size_t size_;
  std::unique_ptr<T, Free> data_;
};

struct Result {
  std::string op;
  std::string backend = "cpu";
  std::string dtype;
  std::string shape;
  Times times;
  double work;        ///< bytes or operations of one call
  std::string unit;   ///< "GB/s" or "GFLOP/s" (of work), or "s"
  std::string floor;  ///< what the bound is
  Times floor_times;
  double floor_work;
  std::string note = "";
};

/// Prints one JSON line: median_s, rate, floor_rate, and ratio = rate / floor_rate, the median over the rounds. With unit
/// "s", ratio is time / floor time.
void print(const Result& result);

/// Ends the program with exit code 1 and this message on stderr unless the condition holds.
void require(bool condition, const std::string& message);

}  // namespace bench
