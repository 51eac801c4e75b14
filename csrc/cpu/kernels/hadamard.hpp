// The fast Walsh-Hadamard transform of rows, with sign and zero padding fused into the load.

inline bool is_minus(const std::uint32_t* signs, std::size_t j) { return signs[j / 32] >> (j % 32) & 1u; }

template <class T>
void transform_row(T* x, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  for (std::size_t h = 1; h < n; h *= 2)
    for (std::size_t i = 0; i < n; i += 2 * h)
      for (std::size_t j = i; j < i + h; ++j) {
        const T a = x[j];
        const T b = x[j + h];
        x[j] = a + b;
        x[j + h] = a - b;
      }
}

template <class T>
void load_row(const T* in, std::size_t d, const std::uint32_t* signs, T scale, T* out, std::size_t n) {
  for (std::size_t j = 0; j < d; ++j) out[j] = signs && is_minus(signs, j) ? -scale * in[j] : scale * in[j];
  for (std::size_t j = d; j < n; ++j) out[j] = 0;
}

template <class T>
void hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
              T* out, std::size_t out_stride, int log2_n) {
  for (std::size_t r = 0; r < rows; ++r) {
    load_row(in + r * in_stride, d, signs, scale, out + r * out_stride, std::size_t{1} << log2_n);
    transform_row(out + r * out_stride, log2_n);
  }
}

template <class T>
void structured(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs,
                std::size_t sign_words, const T* radius, T* out, std::size_t out_stride, std::size_t cols, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  T* work = new T[n];
  for (std::size_t r = 0; r < rows; ++r) {
    load_row(in + r * in_stride, d, signs, T(1), work, n);
    transform_row(work, log2_n);
    load_row(work, n, signs + sign_words, T(1), work, n);
    transform_row(work, log2_n);
    load_row(work, n, signs + 2 * sign_words, T(1), work, n);
    transform_row(work, log2_n);
    for (std::size_t j = 0; j < cols; ++j) out[r * out_stride + j] = radius[j] * work[j];
  }
  delete[] work;
}
