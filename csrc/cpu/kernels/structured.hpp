// Structured directions: three times random signs and a Hadamard transform, and a radius for every direction.

/// Stores radius[j] * v, as far as the first `cols` columns go.
template <class T>
struct RadiusStore {
  T* out;
  const T* radius;
  std::size_t cols;

  [[gnu::always_inline]] void operator()(std::size_t j, Vec<T> v) const {
    if (j + lanes<T> <= cols) {
      store(out + j, v * load(radius + j));
    } else {
      rest(j, v);
    }
  }

  [[gnu::noinline]] void rest(std::size_t j, Vec<T> v) const {
    for (std::size_t i = 0; j + i < cols && i < lanes<T>; ++i) out[j + i] = v[i] * radius[j + i];
  }
};

template <class T>
void structured(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs,
                std::size_t sign_words, const T* radius, T* out, std::size_t out_stride, std::size_t cols, int log2_n,
                T* work) {
  const std::size_t n = std::size_t{1} << log2_n;
  for (std::size_t r = 0; r < rows; ++r) {
    transform_rows<T, true>(1, in + r * in_stride, in_stride, d, signs, T(1), work, n, log2_n);
    transform_rows<T, true>(1, work, n, n, signs + sign_words, T(1), work, n, log2_n);
    if (log2_n < log2_lanes<T>) {
      transform_rows<T, true>(1, work, n, n, signs + 2 * sign_words, T(1), work, n, log2_n);
      for (std::size_t j = 0; j < cols; ++j) out[r * out_stride + j] = work[j] * radius[j];
    } else {
      transform_row<T>(RowLoad<T, true>{work, n, signs + 2 * sign_words, T(1)}, work,
                       RadiusStore<T>{out + r * out_stride, radius, cols}, log2_n);
    }
  }
}
