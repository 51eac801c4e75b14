// Matrices whose entries are each made of what stands in their row and of what belongs to their column.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>

#include "runtime.cuh"

namespace fastntk::cuda {

constexpr unsigned column_threads = 256;
constexpr unsigned rows_per_block = 4;  // they share what is read for a column

/// out[r][j] = element(r, column(j)).
template <class T, class Column, class Element>
__global__ void __launch_bounds__(column_threads) columns_kernel(View<T, Cuda> out, Column column, Element element) {
  const std::size_t blocks_across = (out.cols + column_threads - 1) / column_threads;
  const std::size_t j = blockIdx.x % blocks_across * column_threads + threadIdx.x;
  const std::size_t first = blockIdx.x / blocks_across * rows_per_block;
  if (j >= out.cols) return;
  const auto place = column(j);
#pragma unroll
  for (unsigned i = 0; i < rows_per_block; ++i) {
    if (first + i < out.rows) out(first + i, j) = element(first + i, place);
  }
}

template <class T, class Column, class Element>
void fill_columns(const Cuda& backend, View<T, Cuda> out, const Column& column, const Element& element) {
  const std::size_t blocks_across = (out.cols + column_threads - 1) / column_threads;
  const std::size_t blocks_down = (out.rows + rows_per_block - 1) / rows_per_block;
  launch(backend, {blocks_across * blocks_down, column_threads}, columns_kernel<T, Column, Element>, out, column, element);
}

struct SameColumn {
  __device__ std::size_t operator()(std::size_t j) const { return j; }
};

}  // namespace fastntk::cuda
