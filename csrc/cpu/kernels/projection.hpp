// Rows times a matrix that is known beforehand and stored in panels: the product behind Gaussian directions.
//
// A BLAS would do, but its bits depend on where in the batch a row stands, and it would pack the matrix anew at every call.
// Here each output is one sum in the order of the inputs, whatever the batch.

/// Columns of a panel: three vectors of the widest kind, and a whole number of the others.
template <class T>
constexpr std::size_t panel_columns = projection_panel_bytes / sizeof(T);

template <class T>
[[gnu::always_inline]] inline Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  else
    return (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  else
    return (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}

// out[r] (+)= x[r] w for R rows and one panel, w (d, panel_columns) contiguous.
template <class T, int R>
void project_panel(const T* x, std::size_t x_stride, std::size_t d, const T* w, bool add, T* out, std::size_t out_stride) {
  constexpr int vectors = static_cast<int>(panel_columns<T> / lanes<T>);
  Vec<T> sum[R][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 12
    for (int v = 0; v < vectors; ++v)
      sum[r][v] =
          add ? load(out + static_cast<std::size_t>(r) * out_stride + static_cast<std::size_t>(v) * lanes<T>) : Vec<T>{};
  for (std::size_t i = 0; i < d; ++i) {
    Vec<T> column[vectors];
#pragma GCC unroll 12
    for (int v = 0; v < vectors; ++v) column[v] = load(w + i * panel_columns<T> + static_cast<std::size_t>(v) * lanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<T> value = Vec<T>{} + x[static_cast<std::size_t>(r) * x_stride + i];
#pragma GCC unroll 12
      for (int v = 0; v < vectors; ++v) sum[r][v] = multiply_add<T>(value, column[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 12
    for (int v = 0; v < vectors; ++v)
      store(out + static_cast<std::size_t>(r) * out_stride + static_cast<std::size_t>(v) * lanes<T>, sum[r][v]);
}

template <class T>
void project(std::size_t rows, const T* x, std::size_t x_stride, std::size_t d, const T* panels, T* out,
             std::size_t out_stride, std::size_t cols) {
  // As many rows at once as leave their sums in registers; and as many inputs as keep a panel's part in the first-level
  // cache.
  constexpr std::size_t row_step = vector_bytes == 64 ? 8 : vector_bytes == 32 ? 2 : 1;
  constexpr std::size_t input_step = 192;
  T partial[row_step * panel_columns<T>];
  for (std::size_t first = 0; first < cols; first += panel_columns<T>) {
    const T* const w = panels + first * d;
    const bool whole = first + panel_columns<T> <= cols;
    for (std::size_t begin = 0; begin < d; begin += input_step) {
      const std::size_t count = d - begin < input_step ? d - begin : input_step;
      for (std::size_t r = 0; r < rows;) {
        const bool many = r + row_step <= rows;
        const std::size_t step = many ? row_step : 1;
        T* const target = whole ? out + r * out_stride + first : partial;
        const std::size_t target_stride = whole ? out_stride : panel_columns<T>;
        const std::size_t width = whole ? 0 : cols - first;
        if (begin > 0)
          for (std::size_t k = 0; k < step; ++k)
            for (std::size_t j = 0; j < width; ++j)
              partial[k * panel_columns<T> + j] = out[(r + k) * out_stride + first + j];
        const T* const rows_x = x + r * x_stride + begin;
        const T* const part = w + begin * panel_columns<T>;
        if (many) {
          project_panel<T, static_cast<int>(row_step)>(rows_x, x_stride, count, part, begin > 0, target, target_stride);
        } else {
          project_panel<T, 1>(rows_x, x_stride, count, part, begin > 0, target, target_stride);
        }
        for (std::size_t k = 0; k < step; ++k)
          for (std::size_t j = 0; j < width; ++j) out[(r + k) * out_stride + first + j] = partial[k * panel_columns<T> + j];
        r += step;
      }
    }
  }
}
