// The fast Walsh-Hadamard transform of rows.
//
// The butterflies are those of the textbook loop, level by level between elements 1, 2, 4, ... apart, so every instruction
// set and every way to split the levels into passes gives the same bits. What changes is how many levels a pass over the
// data takes: the first pass does the levels inside a vector and some between the vectors that registers hold, later ones
// are butterflies of up to 16 vectors, and rows longer than a cache are transformed in blocks that fit it, then combined.
//
// What a pass reads and writes is a parameter: signs, scale and zero padding cost no pass of their own (RowLoad), nor does
// the factor of a structured projection (structured.hpp).

/// Levels of a radix pass, such that the vectors of one butterfly and its constants stay in registers.
constexpr int max_log2_radix = vector_registers >= 32 ? 4 : 3;

/// Levels done while a block of the row stays in the first-level cache (16 KiB), and in the second (512 KiB).
template <class T>
constexpr int log2_inner_block = sizeof(T) == 4 ? 12 : 11;
template <class T>
constexpr int log2_outer_block = log2_inner_block<T> + 5;

/// Element j of a row: scale * in[j], with the sign bit of j applied if `is_signed`, or 0 from `count` on.
template <class T, bool is_signed>
struct RowLoad {
  const T* in;
  std::size_t count;
  const std::uint32_t* signs;
  T scale;

  /// The rest of the row from element `first` on, a multiple of 32.
  RowLoad from(std::size_t first) const {
    return {in + first, count > first ? count - first : 0, is_signed ? signs + first / 32 : nullptr, scale};
  }

  /// Elements [j, j + lanes), all below `count`.
  [[gnu::always_inline]] Vec<T> full(std::size_t j) const {
    Vec<T> v = load(in + j);
    if constexpr (is_signed) v = flip_signs<T>(v, signs, j);
    return v * scale;
  }

  T element(std::size_t j) const {
    if (j >= count) return 0;
    const bool minus = is_signed && (signs[j / 32] >> (j % 32) & 1u);
    return (minus ? -in[j] : in[j]) * scale;
  }

  /// Elements [j, j + lanes), wherever `count` is.
  [[gnu::noinline]] Vec<T> any(std::size_t j) const {
    Vec<T> v;
    for (std::size_t i = 0; i < lanes<T>; ++i) v[i] = element(j + i);
    return v;
  }
};

template <class T>
struct PlainStore {
  T* out;

  [[gnu::always_inline]] void operator()(std::size_t j, Vec<T> v) const { store(out + j, v); }
};

/// The levels between the elements of each of `count` vectors. Level by level, so that neighbouring instructions do not wait for
/// one another: the processor's own reordering is not far-sighted enough.
template <class T, std::size_t count, int levels = log2_lanes<T>, int level = 0>
[[gnu::always_inline]] inline void transform_lanes(Vec<T> (&v)[count]) {
  if constexpr (level < levels) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < count; ++i) v[i] = butterfly_lanes<T, std::size_t{1} << level>(v[i]);
    transform_lanes<T, count, levels, level + 1>(v);
  }
}

/// The levels between `radix` vectors.
template <class T, std::size_t radix>
[[gnu::always_inline]] inline void transform_vectors(Vec<T> (&v)[radix]) {
#pragma GCC unroll 4
  for (std::size_t h = 1; h < radix; h *= 2) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < radix; ++i) {
      if (i & h) continue;
      const Vec<T> a = v[i];
      const Vec<T> b = v[i + h];
      v[i] = a + b;
      v[i + h] = a - b;
    }
  }
}

/// The levels inside vectors and between `radix` neighbours, for n elements.
template <class T, std::size_t radix, class Load, class Store>
[[gnu::always_inline]] inline void first_pass(const Load& in, const Store& out, std::size_t n) {
  constexpr std::size_t step = radix * lanes<T>;
  for (std::size_t j = 0; j < n; j += step) {
    Vec<T> v[radix];
    if (j + step <= in.count) {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < radix; ++i) v[i] = in.full(j + i * lanes<T>);
    } else {
      for (std::size_t i = 0; i < radix; ++i) v[i] = in.any(j + i * lanes<T>);
    }
    transform_lanes<T>(v);
    transform_vectors<T>(v);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < radix; ++i) out(j + i * lanes<T>, v[i]);
  }
}

/// Columns [begin, begin + width) of a matrix with `period` columns.
struct Strip {
  std::size_t period;
  std::size_t begin;
  std::size_t width;
};

/// The levels between `radix` elements `stride` apart, for the n elements x, as far as they lie in the strip.
template <class T, std::size_t radix, class Store>
[[gnu::always_inline]] inline void radix_pass(const T* x, const Store& out, std::size_t n, std::size_t stride, Strip strip) {
  for (std::size_t group = 0; group < n; group += radix * stride)
    for (std::size_t row = group; row < group + stride; row += strip.period) {
      const std::size_t begin = row + strip.begin;
      for (std::size_t j = begin; j < begin + strip.width; j += lanes<T>) {
        Vec<T> v[radix];
#pragma GCC unroll 16
        for (std::size_t i = 0; i < radix; ++i) v[i] = load(x + j + i * stride);
        transform_vectors<T>(v);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < radix; ++i) out(j + i * stride, v[i]);
      }
    }
}

/// Calls body with the constant 2^log2_radix.
template <class Body>
[[gnu::always_inline]] inline void with_radix(int log2_radix, const Body& body) {
  switch (log2_radix) {
    case 0: return body(std::integral_constant<std::size_t, 1>{});
    case 1: return body(std::integral_constant<std::size_t, 2>{});
    case 2: return body(std::integral_constant<std::size_t, 4>{});
    case 3: return body(std::integral_constant<std::size_t, 8>{});
    default:
      if constexpr (max_log2_radix > 3) return body(std::integral_constant<std::size_t, 16>{});
  }
}

/// The levels from elements 2^from apart on, in x, for the elements of a strip; the result leaves through `out`, the values
/// between passes stay in x.
template <class T, class Store>
void later_passes(T* x, const Store& out, int from, int log2_n, Strip strip) {
  const std::size_t n = std::size_t{1} << log2_n;
  while (from < log2_n) {
    const int passes = (log2_n - from + max_log2_radix - 1) / max_log2_radix;
    const int levels = (log2_n - from + passes - 1) / passes;
    const std::size_t stride = std::size_t{1} << from;
    with_radix(levels, [&](auto radix) __attribute__((always_inline)) {
      if (passes > 1) {
        radix_pass<T, radix>(x, PlainStore<T>{x}, n, stride, strip);
      } else {
        radix_pass<T, radix>(x, out, n, stride, strip);
      }
    });
    from += levels;
  }
}

/// Transforms one row of at least one vector, from `in` to `out`. `work` holds n elements: what `in` reads, what `out` writes or
/// memory apart.
template <class T, class Load, class Store>
void transform_row(const Load& in, T* work, const Store& out, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  if (log2_n <= log2_inner_block<T>) {
    const int between = log2_n - log2_lanes<T>;
    const int passes = between <= max_log2_radix ? 1 : 1 + (between - 1) / max_log2_radix;
    const int levels = (between + passes - 1) / passes;
    with_radix(levels, [&](auto radix) __attribute__((always_inline)) {
      if (passes > 1) {
        first_pass<T, radix>(in, PlainStore<T>{work}, n);
      } else {
        first_pass<T, radix>(in, out, n);
      }
    });
    const int done = log2_lanes<T> + levels;
    if (passes > 1) later_passes<T>(work, out, done, log2_n, {std::size_t{1} << done, 0, std::size_t{1} << done});
    return;
  }
  const int block_levels = log2_n <= log2_outer_block<T> ? log2_inner_block<T> : log2_outer_block<T>;
  const std::size_t block = std::size_t{1} << block_levels;
  for (std::size_t b = 0; b < n; b += block)
    transform_row<T>(in.from(b), work + b, PlainStore<T>{work + b}, block_levels);
  // Strips of what one pass can do are as wide as the block; those that need several stay in the first-level cache.
  const std::size_t width =
      log2_n - block_levels <= max_log2_radix ? block : (std::size_t{1} << log2_inner_block<T>) >> (log2_n - block_levels);
  for (std::size_t begin = 0; begin < block; begin += width)
    later_passes<T>(work, out, block_levels, log2_n, {block, begin, width});
}

/// Transforms a row shorter than a vector.
template <class T, bool is_signed>
[[gnu::always_inline]] inline void transform_short_row(const RowLoad<T, is_signed>& in, T* out, int log2_n) {
  Vec<T> v[1] = {};
  for (std::size_t j = 0; j < std::size_t{1} << log2_n; ++j) v[0][j] = in.element(j);
  switch (log2_n) {
    case 0: break;
    case 1: transform_lanes<T, 1, 1>(v); break;
    case 2: transform_lanes<T, 1, 2>(v); break;
    default: transform_lanes<T, 1, log2_lanes<T> < 3 ? log2_lanes<T> : 3>(v);
  }
  for (std::size_t j = 0; j < std::size_t{1} << log2_n; ++j) out[j] = v[0][j];
}

template <class T, bool is_signed>
void transform_rows(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
                    T* out, std::size_t out_stride, int log2_n) {
  const auto row = [&](std::size_t r) { return RowLoad<T, is_signed>{in + r * in_stride, d, signs, scale}; };
  const int between = log2_n - log2_lanes<T>;
  if (between < 0) {
    for (std::size_t r = 0; r < rows; ++r) transform_short_row(row(r), out + r * out_stride, log2_n);
  } else if (between <= max_log2_radix) {
    // Short rows: the choice of the radix would cost as much as the row.
    with_radix(between, [&](auto radix) __attribute__((always_inline)) {
      for (std::size_t r = 0; r < rows; ++r)
        first_pass<T, radix>(row(r), PlainStore<T>{out + r * out_stride}, radix * lanes<T>);
    });
  } else {
    for (std::size_t r = 0; r < rows; ++r)
      transform_row<T>(row(r), out + r * out_stride, PlainStore<T>{out + r * out_stride}, log2_n);
  }
}

template <class T>
void hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
              T* out, std::size_t out_stride, int log2_n) {
  if (signs) {
    transform_rows<T, true>(rows, in, in_stride, d, signs, scale, out, out_stride, log2_n);
  } else {
    transform_rows<T, false>(rows, in, in_stride, d, signs, scale, out, out_stride, log2_n);
  }
}
