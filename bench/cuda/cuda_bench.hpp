// What the benchmarks of the CUDA backend share beyond bench.hpp: the device, its memory, and the bounds it is judged by.
//
//   int main(int argc, char** argv) {
//     const bench::cuda::Session session(argc, argv);
//     const std::size_t n = session.size(1 << 27, 1 << 12);
//     auto x = session.random<float>(n), out = session.random<float>(n);
//     ... compare a few rows with the CPU, bench::require(...) ...
//     const auto times = session.alternate({[&] { operation(session.backend(), ...); },
//                                           [&] { session.copy(x.data(), out.data(), n * sizeof(float)); }});
//     bench::print({.op = "fwht", .backend = "cuda", .dtype = "float32", .shape = "131072x1024", .times = times[0],
//                   .work = 2.0 * n * sizeof(float), .unit = "GB/s", .floor = "device copy", .floor_times = times[1],
//                   .floor_work = 2.0 * n * sizeof(float)});
//   }
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/view.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <vector>

#include "../bench.hpp"

namespace bench::cuda {

using fastntk::Cuda;
using fastntk::View;

class Session {
 public:
  /// Reads the arguments `--device N` and `--small`: sizes that only show that the program is right. Prints a line that
  /// names the device; ends the program with exit code 77 where there is none.
  Session(int argc, char** argv);

  const Cuda& backend() const { return backend_; }
  bool small() const { return small_; }
  /// The first of the two, or the second where the run is small.
  std::size_t size(std::size_t full, std::size_t small) const { return small_ ? small : full; }

  /// bench::alternate on the device. A round lasts long enough that starting it and waiting for it do not matter.
  std::vector<Times> alternate(const std::vector<std::function<void()>>& contenders) const;

  /// `size` reproducible values in [-1, 1); from 2^24 on they repeat.
  template <class T>
  fastntk::Buffer<T, Cuda> random(std::size_t size) const;

  /// The elements of a device matrix, row after row.
  template <class T>
  std::vector<std::remove_const_t<T>> to_host(View<T, Cuda> x) const;

  /// What the machine can do, queued: a copy within device memory, a write of zeros, and cuBLAS's product
  /// c (m, n) = a (m, k) b (n, k)^T in single precision, all contiguous.
  void copy(const void* from, void* to, std::size_t bytes) const;
  void write(void* to, std::size_t bytes) const;
  void sgemm(std::size_t m, std::size_t n, std::size_t k, const float* a, const float* b, float* c) const;

 private:
  Cuda backend_;
  bool small_ = false;
};

/// Ends the program with this message unless a row differs from what it should be by at most `tolerance` times its norm.
void require_close(const std::vector<float>& found, const std::vector<float>& expected, double tolerance,
                   const char* message);

template <class T>
fastntk::Buffer<T, Cuda> Session::random(std::size_t size) const {
  fastntk::Buffer<T, Cuda> memory(backend_, size);
  const std::size_t period = std::min(size, std::size_t{1} << 24);
  using Drawn = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Array<Drawn> drawn(period);
  std::vector<T> values(period);
  std::transform(drawn.data(), drawn.data() + period, values.begin(), [](Drawn value) { return static_cast<T>(value); });
  for (std::size_t first = 0; first < size; first += period)
    fastntk::copy_in(backend_, values.data(), std::min(period, size - first) * sizeof(T), memory.data() + first);
  return memory;
}

template <class T>
std::vector<std::remove_const_t<T>> Session::to_host(View<T, Cuda> x) const {
  std::vector<std::remove_const_t<T>> values(x.rows * x.cols);
  if (values.empty()) return values;
  const bool contiguous = x.stride == x.cols;
  const std::size_t length = contiguous ? values.size() : x.cols;
  for (std::size_t first = 0; first < values.size(); first += length)
    fastntk::copy_out(backend_, x.row(first / x.cols), length * sizeof(T), values.data() + first);
  return values;
}

}  // namespace bench::cuda
