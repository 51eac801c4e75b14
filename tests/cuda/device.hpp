// What the tests of the CUDA backend share: matrices on the device, and a run that is skipped where there is none.
#pragma once

#include <fastntk/config.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/view.hpp>

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include "../cpp/sketches.hpp"
#if defined(FASTNTK_EMULATE_CUDA)
#include "../../csrc/cuda/emulation/runtime.hpp"
#endif

namespace device {

using fastntk::Cuda;
using fastntk::View;
using sketches::Matrix;

/// A matrix on the device whose rows are `gap` elements longer than they seem.
template <class T>
class DeviceMatrix {
 public:
  DeviceMatrix(std::size_t rows, std::size_t cols, std::size_t gap = 0, const Cuda& backend = {})
      : backend_(backend), memory_(backend, rows * (cols + gap)), rows_(rows), cols_(cols), stride_(cols + gap) {}
  explicit DeviceMatrix(const Matrix<T>& host, std::size_t gap = 0, const Cuda& backend = {})
      : DeviceMatrix(host.rows, host.cols, gap, backend) {
    for (std::size_t r = 0; r < rows_; ++r)
      if (cols_ > 0) fastntk::copy_in(backend_, &host.values[r * cols_], cols_ * sizeof(T), view().row(r));
  }

  View<T, Cuda> view() { return View<T, Cuda>(memory_.data(), rows_, cols_, stride_); }
  View<const T, Cuda> view() const { return View<const T, Cuda>(memory_.data(), rows_, cols_, stride_); }
  Matrix<T> to_host() const {
    Matrix<T> host(rows_, cols_);
    for (std::size_t r = 0; r < rows_; ++r)
      if (cols_ > 0) fastntk::copy_out(backend_, view().row(r), cols_ * sizeof(T), &host.values[r * cols_]);
    return host;
  }

 private:
  Cuda backend_;
  fastntk::Buffer<T, Cuda> memory_;
  std::size_t rows_, cols_, stride_;
};

/// A matrix on the device, the entries between whose rows must be left alone.
template <class T>
class Guarded {
 public:
  Guarded(const Matrix<T>& x, std::size_t gap) : whole_(filled(x, gap)), rows_(x.rows), cols_(x.cols), device_(whole_) {}
  View<T, Cuda> view() { return device_.view().col_block(0, cols_); }
  Matrix<T> to_host() const {
    const Matrix<T> found = device_.to_host();
    Matrix<T> out(rows_, cols_);
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t j = 0; j < found.cols; ++j) {
        if (j < cols_)
          out(r, j) = found(r, j);
        else
          CHECK(found(r, j) == whole_(r, j));
      }
    return out;
  }

 private:
  static Matrix<T> filled(const Matrix<T>& x, std::size_t gap) {
    Matrix<T> whole(x.rows, x.cols + gap);
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t j = 0; j < whole.cols; ++j) whole(r, j) = j < x.cols ? x(r, j) : static_cast<T>(r + j);
    return whole;
  }
  Matrix<T> whole_;
  std::size_t rows_, cols_;
  DeviceMatrix<T> device_;
};

#if defined(FASTNTK_EMULATE_CUDA)
/// Ends what was injected, however a test ends.
struct Faults {
  ~Faults() { fastntk::emulation::clear_faults(); }
};

/// Lets every call to the CUDA runtime that `work` makes fail, one in each of many runs: each time it must throw, and give
/// back what it took. `quiet` names calls that only destructors make, which cannot throw.
template <class Work>
void fail_every_call(Work&& work, const std::vector<std::string>& quiet = {}) {
  namespace emulation = fastntk::emulation;
  work();  // what is made once and kept
  const auto before = emulation::calls();
  work();
  const auto after = emulation::calls();
  for (const auto& [call, total] : after) {
    const bool gives_back = call.find("Free") != std::string::npos || call.find("Destroy") != std::string::npos;
    if (gives_back || call == "cudaGetDevice") continue;  // by destructors too
    if (std::find(quiet.begin(), quiet.end(), call) != quiet.end()) continue;
    const auto known = before.find(call);
    const int count = total - (known == before.end() ? 0 : known->second);
    for (int k = 0; k < count; k = k < 4 ? k + 1 : 2 * k) {
      cudaDeviceSynchronize();
      const std::size_t in_use = emulation::memory_in_use();
      emulation::inject_fault(call.c_str(), cudaErrorUnknown, k);
      bool threw = false;
      try {
        work();
      } catch (const fastntk::BackendError&) {
        threw = true;
      }
      emulation::clear_faults();
      if (!threw) check::fail(call.c_str(), k, "a failure of this call was not reported");
      cudaDeviceSynchronize();
      if (emulation::memory_in_use() != in_use) check::fail(call.c_str(), k, "memory was lost when this call failed");
    }
  }
  work();
}
#endif

inline int run_tests(int argc, char** argv) {
  const fastntk::Config config = fastntk::config();
  if (config.cuda_status != "ready") {
    std::cout << "skipped: CUDA is " << config.cuda_status << "\n";
    return check::skipped;
  }
  const int result = check::run_tests(argc, argv);
#if defined(FASTNTK_EMULATE_CUDA)
  // What is queued still gives memory back.
  for (const int device : {1, 0})
    if (cudaSetDevice(device) != cudaSuccess || cudaDeviceSynchronize() != cudaSuccess) return 1;
#endif
  return result;
}

}  // namespace device
