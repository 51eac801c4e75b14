// Subsampling of transformed rows, and the product of two samples (TensorSRHT's last step).

template <class T>
void gather(std::size_t rows, const T* in, std::size_t in_stride, const std::uint32_t* index, T scale, T* out,
            std::size_t out_stride, std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = in + r * in_stride;
    T* const z = out + r * out_stride;
    for (std::size_t j = 0; j < m; ++j) z[j] = scale * x[index[j]];
  }
}

template <class T>
void gather_product(std::size_t rows, const T* a, std::size_t a_stride, const std::uint32_t* index_a, const T* b,
                    std::size_t b_stride, const std::uint32_t* index_b, T scale, T* out, std::size_t out_stride,
                    std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = a + r * a_stride;
    const T* const y = b + r * b_stride;
    T* const z = out + r * out_stride;
    for (std::size_t j = 0; j < m; ++j) z[j] = scale * x[index_a[j]] * y[index_b[j]];
  }
}
