// CountSketch of dense rows by gathering, and of sparse rows by scattering.

template <class T>
void count_sketch_dense(std::size_t rows, const T* in, std::size_t in_stride, std::size_t rounds,
                        const std::size_t* round_sizes, const std::uint32_t* columns, const T* weights,
                        const std::uint32_t* rank, T* __restrict sums, T* out, std::size_t out_stride, std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = in + r * in_stride;
    T* __restrict const z = out + r * out_stride;
    const std::uint32_t* column = columns;
    const T* weight = weights;
    for (std::size_t k = 0; k < m; ++k) sums[k] = 0;
    for (std::size_t t = 0; t < rounds; ++t) {
      // A 32-bit signed index is what gather instructions take.
      for (std::size_t k = 0; k < round_sizes[t]; ++k) sums[k] += weight[k] * x[static_cast<std::int32_t>(column[k])];
      column += round_sizes[t];
      weight += round_sizes[t];
    }
    for (std::size_t j = 0; j < m; ++j) z[j] = sums[static_cast<std::int32_t>(rank[j])];
  }
}

template <class T>
void count_sketch_sparse(std::size_t rows, const T* values, const std::int32_t* columns, const std::int64_t* row_starts,
                         const std::uint32_t* bucket, const T* weight, std::size_t s, T* out, std::size_t out_stride,
                         std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    T* const z = out + r * out_stride;
    for (std::size_t j = 0; j < m; ++j) z[j] = 0;
    for (std::int64_t e = row_starts[r]; e < row_starts[r + 1]; ++e) {
      const std::size_t first = static_cast<std::size_t>(columns[e]) * s;
      for (std::size_t b = first; b < first + s; ++b) z[bucket[b]] += weight[b] * values[e];
    }
  }
}
