// Products of a matrix with patterns that change element by element.

/// As many numbers as a vector of doubles has.
typedef std::uint32_t RankVec __attribute__((vector_size(vector_bytes / 2)));
typedef std::uint32_t UnalignedRankVec __attribute__((vector_size(vector_bytes / 2), aligned(4), may_alias));
typedef std::int32_t SignedRankVec __attribute__((vector_size(vector_bytes / 2)));

/// Ranks, below 2^31, as doubles: these compare to masks as wide as what is masked.
[[gnu::always_inline]] inline Vec<double> load_ranks(const std::uint32_t* rank) {
#if defined(__AVX512F__)
  return _mm512_cvtepu32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rank)));
#else
  const RankVec ranks = *reinterpret_cast<const UnalignedRankVec*>(rank);
  return __builtin_convertvector((SignedRankVec)ranks, Vec<double>);
#endif
}

/// sum + a * b in the lanes where rank < limit; `sum` in the others.
[[gnu::always_inline]] inline Vec<double> multiply_add_below(Vec<double> a, Vec<double> b, Vec<double> sum, Vec<double> rank,
                                                             Vec<double> limit) {
#if defined(__AVX512F__)
  return _mm512_mask3_fmadd_pd(a, b, sum, _mm512_cmp_pd_mask(rank, limit, _CMP_LT_OQ));
#else
  return multiply_add<double>(a, (Vec<double>)((BitVec<double>)(rank < limit) & (BitVec<double>)b), sum);
#endif
}

template <std::size_t k, std::size_t... i>
[[gnu::always_inline]] inline Vec<double> fold_lanes(Vec<double> a, Vec<double> b, std::index_sequence<i...>) {
  constexpr std::size_t n = lanes<double>;
  return __builtin_shufflevector(a, b, (i & k ? n + i : i)...) +
         __builtin_shufflevector(a, b, (i & k ? n + (i ^ k) : i ^ k)...);
}

/// Lane i of the result is the sum of the lanes of v[i]; v is overwritten.
[[gnu::always_inline]] inline Vec<double> sums_of_lanes(Vec<double>* v) {
  constexpr Lanes<double> all;
#pragma GCC unroll 8
  for (std::size_t i = 0; i < lanes<double> / 2; ++i) v[i] = fold_lanes<1>(v[2 * i], v[2 * i + 1], all);
  if constexpr (lanes<double> >= 4) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < lanes<double> / 4; ++i) v[i] = fold_lanes<2>(v[2 * i], v[2 * i + 1], all);
  }
  if constexpr (lanes<double> >= 8) v[0] = fold_lanes<4>(v[0], v[1], all);
  return v[0];
}

/// Rows that share what is read for a column: their sums, two a row, stay in registers.
constexpr std::size_t passed_rows = vector_registers / 4;
/// Columns that are summed before sums go to memory, so that the rows' parts stay in the first-level cache, and the
/// patterns' parts in the second-level one, while all patterns meet all rows.
constexpr std::size_t passed_columns = 256;

struct PassedSums {
  double base[passed_rows], passed[passed_rows];
};

template <bool with_passed>
[[gnu::always_inline]] inline PassedSums passed_block(const double* const* row, const double* row_rank, std::size_t cols,
                                                      const std::uint32_t* rank, const double* before, const double* after) {
  constexpr std::size_t width = lanes<double>;
  Vec<double> base[passed_rows] = {}, change[passed_rows] = {};
  const auto add = [&](const auto& part, Vec<double> ranks, Vec<double> b, Vec<double> a) __attribute__((always_inline)) {
    const Vec<double> difference = a - b;
#pragma GCC unroll 8
    for (std::size_t k = 0; k < passed_rows; ++k) {
      const Vec<double> m = part(row[k]);
      base[k] = multiply_add<double>(m, b, base[k]);
      if constexpr (with_passed) change[k] = multiply_add_below(m, difference, change[k], ranks, splat(row_rank[k]));
    }
  };
  std::size_t j = 0;
  for (; j + width <= cols; j += width) {
    const Vec<double> b = load(before + j);
    add([&](const double* r) { return load(r + j); }, with_passed ? load_ranks(rank + j) : b, b,
        with_passed ? load(after + j) : b);
  }
  if (j < cols) {
    const auto part = [&](const double* from) {
      Vec<double> v = {};
      for (std::size_t i = 0; i < cols - j; ++i) v[i] = from[j + i];
      return v;
    };
    Vec<double> ranks = {};
    if constexpr (with_passed)
      for (std::size_t i = 0; i < cols - j; ++i) ranks[i] = static_cast<double>(rank[j + i]);
    const Vec<double> b = part(before);
    add(part, ranks, b, with_passed ? part(after) : b);
  }
  PassedSums sums;
  for (std::size_t k = 0; k < passed_rows; k += width) {
    const Vec<double> total = sums_of_lanes(base + k);
    store(sums.base + k, total);
    if constexpr (with_passed) store(sums.passed + k, total + sums_of_lanes(change + k));
  }
  return sums;
}

template <bool with_passed>
void passed_products_of(std::size_t rows, std::size_t cols, std::size_t patterns, const double* matrix,
                        std::size_t matrix_stride, std::size_t first, const std::uint32_t* rank, std::size_t rank_stride,
                        const double* before, std::size_t before_stride, const double* after, std::size_t after_stride,
                        double* base, std::size_t base_stride, double* passed, std::size_t passed_stride) {
  for (std::size_t col = 0; col < cols; col += passed_columns) {
    const std::size_t width = cols - col < passed_columns ? cols - col : passed_columns;
    for (std::size_t begin = 0; begin < rows; begin += passed_rows) {
      // Rows beyond the last are the last one again.
      const std::size_t count = rows - begin < passed_rows ? rows - begin : passed_rows;
      const double* row[passed_rows];
      for (std::size_t k = 0; k < passed_rows; ++k)
        row[k] = matrix + (begin + (k < count ? k : count - 1)) * matrix_stride + col;
      for (std::size_t c = 0; c < patterns; ++c) {
        double row_rank[passed_rows] = {};
        if constexpr (with_passed)
          for (std::size_t k = 0; k < count; ++k)
            row_rank[k] = static_cast<double>(rank[c * rank_stride + first + begin + k]);
        const PassedSums sums = passed_block<with_passed>(
            row, row_rank, width, with_passed ? rank + c * rank_stride + col : nullptr, before + c * before_stride + col,
            with_passed ? after + c * after_stride + col : nullptr);
        const auto put = [&](double* to, const double* sum) {
          for (std::size_t k = 0; k < count; ++k) to[k] = (col > 0 ? to[k] : 0) + sum[k];
        };
        put(base + c * base_stride + begin, sums.base);
        if constexpr (with_passed) put(passed + c * passed_stride + begin, sums.passed);
      }
    }
  }
}

inline void passed_products(std::size_t rows, std::size_t cols, std::size_t patterns, const double* matrix,
                            std::size_t matrix_stride, std::size_t first, const std::uint32_t* rank, std::size_t rank_stride,
                            const double* before, std::size_t before_stride, const double* after, std::size_t after_stride,
                            double* base, std::size_t base_stride, double* passed, std::size_t passed_stride) {
  const auto run = passed ? passed_products_of<true> : passed_products_of<false>;
  run(rows, cols, patterns, matrix, matrix_stride, first, rank, rank_stride, before, before_stride, after, after_stride,
      base, base_stride, passed, passed_stride);
}
