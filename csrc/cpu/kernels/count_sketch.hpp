// CountSketch. Dense rows are taken as many at a time as a vector has lanes, so that an entry is one vector addition for all
// of them; fewer rows, and sparse ones, are scattered entry by entry. Both add to a bucket in the same order: the same bits.

/// `width` rows side by side.
template <class T, std::size_t width>
struct RowsOf {
  typedef T type __attribute__((vector_size(width * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(width * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class T, std::size_t width>
using Rows = typename RowsOf<T, width>::type;

template <std::size_t width, class T>
[[gnu::always_inline]] inline Rows<T, width> load_rows(const T* p) {
  return *reinterpret_cast<const typename RowsOf<T, width>::unaligned*>(p);
}

template <std::size_t width, class T>
[[gnu::always_inline]] inline void store_rows(T* p, Rows<T, width> v) {
  *reinterpret_cast<typename RowsOf<T, width>::unaligned*>(p) = v;
}

/// The elements of a whose lanes have bit k change places with those of b whose lanes have it not.
template <class T, std::size_t k, std::size_t... i>
[[gnu::always_inline]] inline void exchange_blocks(Rows<T, sizeof...(i)>& a, Rows<T, sizeof...(i)>& b,
                                                   std::index_sequence<i...>) {
  const Rows<T, sizeof...(i)> low = __builtin_shufflevector(a, b, ((i & k) ? sizeof...(i) + (i ^ k) : i)...);
  const Rows<T, sizeof...(i)> high = __builtin_shufflevector(a, b, ((i & k) ? sizeof...(i) + i : (i ^ k))...);
  a = low;
  b = high;
}

/// Transposes the square of the vectors v.
template <class T, std::size_t width, std::size_t k = width / 2>
[[gnu::always_inline]] inline void transpose_square(Rows<T, width>* v) {
#pragma GCC unroll 16
  for (std::size_t i = 0; i < width; ++i)
    if (!(i & k)) exchange_blocks<T, k>(v[i], v[i ^ k], std::make_index_sequence<width>{});
  if constexpr (k > 1) transpose_square<T, width, k / 2>(v);
}

/// Up to `width` rows; `sums` holds a vector for every bucket, with a row in each lane.
template <class T, std::size_t width>
void count_sketch_side_by_side(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d,
                               const std::uint32_t* bucket, const T* weight, std::size_t s, T* __restrict sums, T* out,
                               std::size_t out_stride, std::size_t m) {
  for (std::size_t j = 0; j < m; ++j) store_rows<width>(sums + j * width, Rows<T, width>{});
  const T* x[width];
  for (std::size_t r = 0; r < width; ++r) x[r] = in + (r < rows ? r : rows - 1) * in_stride;
  const auto add = [&](std::size_t j, Rows<T, width> values) __attribute__((always_inline)) {
    for (std::size_t e = j * s; e < j * s + s; ++e) {
      T* const sum = sums + bucket[e] * width;
      store_rows<width>(sum, load_rows<width>(sum) + weight[e] * values);
    }
  };
  Rows<T, width> square[width];
  std::size_t j = 0;
  for (; j + width <= d; j += width) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < width; ++r) square[r] = load_rows<width>(x[r] + j);
    transpose_square<T, width>(square);
    for (std::size_t i = 0; i < width; ++i) add(j + i, square[i]);
  }
  for (; j < d; ++j) {
    Rows<T, width> column{};
    for (std::size_t r = 0; r < width; ++r) column[r] = x[r][j];
    add(j, column);
  }
  for (j = 0; j + width <= m; j += width) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < width; ++i) square[i] = load_rows<width>(sums + (j + i) * width);
    transpose_square<T, width>(square);
    for (std::size_t r = 0; r < rows; ++r) store_rows<width>(out + r * out_stride + j, square[r]);
  }
  for (; j < m; ++j)
    for (std::size_t r = 0; r < rows; ++r) out[r * out_stride + j] = sums[j * width + r];
}

template <class T>
void count_sketch_entry_by_entry(const T* x, std::size_t d, const std::uint32_t* bucket, const T* weight, std::size_t s,
                                 T* z, std::size_t m) {
  for (std::size_t j = 0; j < m; ++j) z[j] = 0;
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t e = j * s; e < j * s + s; ++e) z[bucket[e]] += weight[e] * x[j];
}

template <class T>
void count_sketch_dense(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* bucket,
                        const T* weight, std::size_t s, T* sums, T* out, std::size_t out_stride, std::size_t m) {
  constexpr std::size_t wide = lanes<T>;
  constexpr std::size_t narrow = (vector_bytes < 32 ? vector_bytes : 32) / sizeof(T);
  // Sums that leave the first-level cache cost more than wider vectors save.
  const bool fits = m * vector_bytes <= (std::size_t{1} << 15);
  const std::size_t width = fits ? wide : narrow;
  std::size_t r = 0;
  for (; count_sketch_work<T>(m) > 0 && r + (width + 1) / 2 <= rows; r += width) {
    const std::size_t count = r + width <= rows ? width : rows - r;
    (fits ? count_sketch_side_by_side<T, wide> : count_sketch_side_by_side<T, narrow>)(count, in + r * in_stride, in_stride,
                                                                                       d, bucket, weight, s, sums,
                                                                                       out + r * out_stride, out_stride, m);
  }
  for (; r < rows; ++r) count_sketch_entry_by_entry(in + r * in_stride, d, bucket, weight, s, out + r * out_stride, m);
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
