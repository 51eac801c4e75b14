// CountSketch and its s-sparse form, OSNAP.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastntk {

struct CountSketchParams {
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  std::uint64_t seed = 0;
  /// Signed entries per input coordinate (s), each in its own of s equal bands of output rows.
  std::size_t nnz_per_column = 1;
};

/// A matrix in compressed sparse rows: the entries of row i are [row_starts[i], row_starts[i + 1]).
template <class T, Backend B = Cpu>
struct CsrView {
  const T* values = nullptr;
  const std::int32_t* columns = nullptr;
  const std::int64_t* row_starts = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;

  constexpr CsrView row_block(std::size_t first, std::size_t count) const {
    return {values, columns, row_starts + first, count, cols};
  }
};

/// x -> S x, S with nnz_per_column entries +-1/sqrt(nnz_per_column) in each column (Charikar, Chen and Farach-Colton 2002;
/// Nelson and Nguyen 2013). Linear, unbiased, in time proportional to the non-zeros.
template <Real T, Backend B = Cpu>
class CountSketch {
 public:
  /// Throws Error if a size is 0 or nnz_per_column exceeds out_features.
  explicit CountSketch(const CountSketchParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  CountSketch on(const B& backend) const;

  /// x (n, in_features) -> out (n, out_features). Throws Error if a shape does not fit; the column indices and row starts of
  /// a sparse x are the caller's to check.
  void operator()(View<const T, B> x, View<T, B> out) const;
  void operator()(CsrView<T, B> x, View<T, B> out) const;

  const CountSketchParams& params() const;

  struct State;  // for the operators built on this one
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
