// Products of a matrix with patterns that change element by element.

#if defined(__AVX512F__)

/// Ranks of as many columns as a vector of doubles has, and a mask of these.
typedef __m256i RankVec;
typedef __mmask8 RankMask;

[[gnu::always_inline]] inline RankVec load_ranks(const std::uint32_t* rank) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rank));
}

[[gnu::always_inline]] inline RankMask ranks_below(RankVec rank, std::uint32_t limit) {
  return _mm256_cmplt_epu32_mask(rank, _mm256_set1_epi32(static_cast<int>(limit)));
}

/// sum + a * b in the lanes of the mask; `sum` in the others.
[[gnu::always_inline]] inline Vec<double> masked_multiply_add(Vec<double> a, Vec<double> b, Vec<double> sum, RankMask mask) {
  return _mm512_mask3_fmadd_pd(a, b, sum, mask);
}

#else

/// Ranks, below 2^31, as doubles: these compare to masks as wide as what is masked.
typedef Vec<double> RankVec;
typedef BitVec<double> RankMask;

[[gnu::always_inline]] inline RankVec load_ranks(const std::uint32_t* rank) {
  typedef std::uint32_t Unaligned __attribute__((vector_size(vector_bytes / 2), aligned(4), may_alias));
  typedef std::int32_t Signed __attribute__((vector_size(vector_bytes / 2)));
  return __builtin_convertvector((Signed)(*reinterpret_cast<const Unaligned*>(rank)), Vec<double>);
}

[[gnu::always_inline]] inline RankMask ranks_below(RankVec rank, std::uint32_t limit) {
  return (RankMask)(rank < splat(static_cast<double>(static_cast<std::int32_t>(limit))));
}

[[gnu::always_inline]] inline Vec<double> masked_multiply_add(Vec<double> a, Vec<double> b, Vec<double> sum, RankMask mask) {
  return multiply_add<double>(a, (Vec<double>)(mask & (BitVec<double>)b), sum);
}

#endif

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

/// Sums that stay in registers while columns are read, and as many of what is passed: those of one vector with so many rows,
/// or of two with half as many.
constexpr std::size_t passed_sums = vector_registers / 4;
/// Columns that are summed before sums go to memory, so that the rows' parts stay in the first-level cache, and the
/// patterns' parts in the second-level one, while all patterns meet all rows.
constexpr std::size_t passed_columns = 256;

/// Sum v * rows + k is that of vector v and row k.
struct PassedSums {
  double base[passed_sums], passed[passed_sums];
};

/// before and after are the vectors of one pattern.
template <std::size_t vectors, bool with_passed>
[[gnu::always_inline]] inline PassedSums passed_block(const double* const* row, const std::uint32_t* row_rank,
                                                      std::size_t cols, const std::uint32_t* rank,
                                                      const double* const* before, const double* const* after) {
  constexpr std::size_t width = lanes<double>, rows = passed_sums / vectors;
  Vec<double> base[passed_sums] = {}, change[passed_sums] = {};
  const auto add = [&](const auto& part, const std::uint32_t* ranks) __attribute__((always_inline)) {
    Vec<double> b[vectors], difference[vectors];
    RankVec columns = {};
    if constexpr (with_passed) columns = load_ranks(ranks);
    for (std::size_t v = 0; v < vectors; ++v) {
      b[v] = part(before[v]);
      if constexpr (with_passed) difference[v] = part(after[v]) - b[v];
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < rows; ++k) {
      const Vec<double> m = part(row[k]);
      RankMask mask = {};
      if constexpr (with_passed) mask = ranks_below(columns, row_rank[k]);
#pragma GCC unroll 2
      for (std::size_t v = 0; v < vectors; ++v) {
        Vec<double>& changed = change[v * rows + k];
        base[v * rows + k] = multiply_add<double>(m, b[v], base[v * rows + k]);
        if constexpr (with_passed) changed = masked_multiply_add(m, difference[v], changed, mask);
      }
    }
  };
  std::size_t j = 0;
  for (; j + width <= cols; j += width) add([&](const double* from) { return load(from + j); }, rank + j);
  if (j < cols) {
    std::uint32_t ranks[width] = {};
    if constexpr (with_passed)
      for (std::size_t i = 0; i < cols - j; ++i) ranks[i] = rank[j + i];
    const auto part = [&](const double* from) {
      Vec<double> some = {};
      for (std::size_t i = 0; i < cols - j; ++i) some[i] = from[j + i];
      return some;
    };
    add(part, ranks);
  }
  PassedSums sums;
  for (std::size_t k = 0; k < passed_sums; k += width) {
    const Vec<double> total = sums_of_lanes(base + k);
    store(sums.base + k, total);
    if constexpr (with_passed) store(sums.passed + k, total + sums_of_lanes(change + k));
  }
  return sums;
}

template <std::size_t vectors, bool with_passed>
void passed_products_of(std::size_t rows, std::size_t cols, std::size_t patterns, const double* matrix,
                        std::size_t matrix_stride, std::size_t first, const std::uint32_t* rank, std::size_t rank_stride,
                        const double* before, std::size_t before_stride, const double* after, std::size_t after_stride,
                        double* base, std::size_t base_stride, double* passed, std::size_t passed_stride) {
  constexpr std::size_t block = passed_sums / vectors;
  for (std::size_t col = 0; col < cols; col += passed_columns) {
    const std::size_t width = cols - col < passed_columns ? cols - col : passed_columns;
    for (std::size_t begin = 0; begin < rows; begin += block) {
      // Rows beyond the last are the last one again.
      const std::size_t count = rows - begin < block ? rows - begin : block;
      const double* row[block];
      for (std::size_t k = 0; k < block; ++k) row[k] = matrix + (begin + (k < count ? k : count - 1)) * matrix_stride + col;
      for (std::size_t c = 0; c < patterns; ++c) {
        std::uint32_t row_rank[block] = {};
        const std::uint32_t* ranks = nullptr;
        if constexpr (with_passed) {
          ranks = rank + c * rank_stride + col;
          for (std::size_t k = 0; k < count; ++k) row_rank[k] = rank[c * rank_stride + first + begin + k];
        }
        const double *from[vectors], *to[vectors];
        for (std::size_t v = 0; v < vectors; ++v) {
          from[v] = before + (c * vectors + v) * before_stride + col;
          to[v] = with_passed ? after + (c * vectors + v) * after_stride + col : nullptr;
        }
        const PassedSums sums = passed_block<vectors, with_passed>(row, row_rank, width, ranks, from, to);
        const auto put = [&](double* out, const double* sum) {
          for (std::size_t k = 0; k < count; ++k) out[k] = (col > 0 ? out[k] : 0) + sum[k];
        };
        for (std::size_t v = 0; v < vectors; ++v) {
          put(base + (c * vectors + v) * base_stride + begin, sums.base + v * block);
          if constexpr (with_passed) put(passed + (c * vectors + v) * passed_stride + begin, sums.passed + v * block);
        }
      }
    }
  }
}

inline void passed_products(std::size_t rows, std::size_t cols, std::size_t patterns, std::size_t vectors,
                            const double* matrix, std::size_t matrix_stride, std::size_t first, const std::uint32_t* rank,
                            std::size_t rank_stride, const double* before, std::size_t before_stride, const double* after,
                            std::size_t after_stride, double* base, std::size_t base_stride, double* passed,
                            std::size_t passed_stride) {
  const auto run = !passed        ? passed_products_of<1, false>
                   : vectors == 1 ? passed_products_of<1, true>
                                  : passed_products_of<2, true>;
  run(rows, cols, patterns, matrix, matrix_stride, first, rank, rank_stride, before, before_stride, after, after_stride,
      base, base_stride, passed, passed_stride);
}
