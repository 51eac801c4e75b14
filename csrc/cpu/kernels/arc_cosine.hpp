// Cosines of rows, and the ReLU kernels as functions of them (Cho and Saul 2009; Z21 Definition 1).
//
// Near |a| = 1 a rounded cosine a has lost the angle, so pairs are described by their signed gap: e = 1 - |a| with the sign
// of a. With w = sqrt(e) and two functions that are analytic in e,
//   acos(1 - e) = pi w Q(e),    t(e) = (sin acos(1 - e) - (1 - e) acos(1 - e))/pi = e w P(e),
// kappa_0(|a|) = 1 - w Q, kappa_0(-|a|) = w Q, kappa_1(|a|) = |a| + t and kappa_1(-|a|) = t: nothing cancels.
// A layer takes one square root and two polynomials.

// Minimax fits of Q and P on [0, 1], relative error 1.5e-8 (float) and 1e-16 (double).
template <class T>
constexpr int angle_terms = sizeof(T) == 4 ? 8 : 18;
template <class T>
constexpr int arc_terms = sizeof(T) == 4 ? 7 : 17;

template <class T>
constexpr T angle_coefficients[angle_terms<T>] = {
    0.450158158078552991,      0.0375131798399073057,    0.00844046546104785106,    0.00251204341429498893,
    0.000854789854342116973,   0.0003147543030438249,    0.000121745668673012445,   0.000050996787891508315,
    0.000012023257562313327,   0.0000354753320167142711, -0.0000614935672921548328, 0.000120223342700406839,
    -0.000160805901295839582,  0.00016270792938750053,   -0.000117166503086423814,  0.000057893659446271267,
    -0.0000175177308715396734, 2.5267736791036315e-6};
template <>
constexpr float angle_coefficients<float>[8] = {0.450158152f,    0.0375139758f,  0.00842468189f,   0.00263012927f,
                                                0.000428326709f, 0.00112549035f, -0.000679740349f, 0.000398977538f};

template <class T>
constexpr T arc_coefficients[arc_terms<T>] = {0.300105438719035368,     0.0150052719359452997,   0.0024115615617388167,
                                              0.00055823182057412351,   0.000155417252017147656, 0.0000484132435159923156,
                                              0.0000163130945440884944, 5.56863980705747288e-6,  2.93882203281339326e-6,
                                              -1.41947743286637531e-6,  4.93102123091220126e-6,  -6.88343771542142516e-6,
                                              7.84175056830165965e-6,   -6.14259329419401758e-6, 3.31822482222729747e-6,
                                              -1.08611087052222002e-6,  1.71717271514907631e-7};
template <>
constexpr float arc_coefficients<float>[7] = {0.300105443f,    0.0150048682f,   0.00241763391f, 0.000524403222f,
                                              0.000242983529f, -6.21056411e-5f, 7.66552648e-5f};

template <class T, int terms>
[[gnu::always_inline]] inline Vec<T> polynomial(const T (&c)[terms], Vec<T> x) {
  Vec<T> sum = splat(c[terms - 1]);
#pragma GCC unroll 32
  for (int i = terms - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

template <class T>
[[gnu::always_inline]] inline Vec<T> square_root(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_sqrt_ps((__m512)x);
  else
    return (Vec<T>)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_sqrt_ps((__m256)x);
  else
    return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm_sqrt_ps((__m128)x);
  else
    return (Vec<T>)_mm_sqrt_pd((__m128d)x);
#else
  for (std::size_t i = 0; i < lanes<T>; ++i) x[i] = sizeof(T) == 4 ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
  return x;
#endif
}

template <class T>
constexpr BitVec<T> sign_bit = BitVec<T>{} + (typename VectorOf<T>::Word{1} << (8 * sizeof(T) - 1));

template <class T>
[[gnu::always_inline]] inline Vec<T> magnitude(Vec<T> x) {
  return (Vec<T>)((BitVec<T>)x & ~sign_bit<T>);
}

/// The size of x with the sign of `sign`, which zeros have too.
template <class T>
[[gnu::always_inline]] inline Vec<T> with_sign(Vec<T> x, Vec<T> sign) {
  return (Vec<T>)((BitVec<T>)x | ((BitVec<T>)sign & sign_bit<T>));
}

template <class T>
[[gnu::always_inline]] inline auto is_negative(Vec<T> x) {
  return ((BitVec<T>)x & sign_bit<T>) != 0;
}

[[gnu::always_inline]] inline bool is_negative(float x) { return __builtin_signbit(x) != 0; }
[[gnu::always_inline]] inline bool is_negative(double x) { return __builtin_signbit(x) != 0; }

/// w Q(e) = acos(1 - e)/pi.
template <class T>
[[gnu::always_inline]] inline Vec<T> angle(Vec<T> w, Vec<T> e) {
  return w * polynomial<T>(angle_coefficients<T>, e);
}

/// e w P(e).
template <class T>
[[gnu::always_inline]] inline Vec<T> arc(Vec<T> w, Vec<T> e) {
  return e * (w * polynomial<T>(arc_coefficients<T>, e));
}

// Pairs that go through the layers together: enough vectors to hide the latency of the polynomials.
constexpr std::size_t group = 4;
template <class T>
constexpr std::size_t pair_block = group * lanes<T>;

// What the recursion carries from layer to layer: what is missing from the values at a = 1, and so keeps its digits there.
template <class T>
struct Pairs {
  Vec<T> gap[group];      // 1 - S_l
  Vec<T> deficit[group];  // l + 1 - K_l
};

// Layer 1, where the cosine may be negative.
template <class T>
[[gnu::always_inline]] inline void first_layer(const T* s, Pairs<T>& pairs) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < group; ++i) {
    const Vec<T> signed_gap = load(s + i * lanes<T>);
    const auto negative = is_negative<T>(signed_gap);
    const Vec<T> e = magnitude<T>(signed_gap);
    const Vec<T> w = square_root<T>(e);
    const Vec<T> turn = angle<T>(w, e);
    const Vec<T> t = arc<T>(w, e);
    const Vec<T> closed = negative ? 1 - turn : turn;  // 1 - kappa_0
    const Vec<T> open = negative ? turn : 1 - turn;
    pairs.gap[i] = negative ? 1 - t : e - t;
    pairs.deficit[i] = (negative ? 2 - e : e) * open + closed + pairs.gap[i];
  }
}

// Layer l > 1: K_l = K_{l-1} kappa_0(S_{l-1}) + S_l becomes a sum of positive terms.
template <class T, bool with_deficit>
[[gnu::always_inline]] inline void next_layer(T l, Pairs<T>& pairs) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < group; ++i) {
    const Vec<T> e = pairs.gap[i];
    const Vec<T> w = square_root<T>(e);
    const Vec<T> gap = e - arc<T>(w, e);
    pairs.gap[i] = gap;
    if constexpr (with_deficit) {
      const Vec<T> turn = angle<T>(w, e);
      pairs.deficit[i] = pairs.deficit[i] * (1 - turn) + l * turn + gap;
    }
  }
}

// The kernel of pair_block signed gaps.
template <class T, ReluKernel kind>
void relu_kernel_block(std::size_t depth, const T* s, T* value) {
  if constexpr (kind == ReluKernel::arc_cosine_0) {
    for (std::size_t i = 0; i < group; ++i) {
      const Vec<T> signed_gap = load(s + i * lanes<T>);
      const Vec<T> e = magnitude<T>(signed_gap);
      const Vec<T> turn = angle<T>(square_root<T>(e), e);
      store<T>(value + i * lanes<T>, is_negative<T>(signed_gap) ? turn : 1 - turn);
    }
  } else {
    constexpr bool ntk = kind == ReluKernel::ntk;
    Pairs<T> pairs;
    first_layer(s, pairs);
    for (std::size_t l = 2; l <= depth; ++l) next_layer<T, ntk>(static_cast<T>(l), pairs);
    const T top = ntk ? static_cast<T>(depth) + 1 : T(1);
    for (std::size_t i = 0; i < group; ++i) store<T>(value + i * lanes<T>, top - (ntk ? pairs.deficit : pairs.gap)[i]);
  }
}

template <class T, ReluKernel kind>
void relu_kernel_rows(std::size_t depth, std::size_t rows, std::size_t cols, const T* gap, std::size_t gap_stride,
                      const T* row_norm, const T* col_norm, T* out, std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const s = gap + r * gap_stride;
    T* const value = out + r * out_stride;
    std::size_t j = 0;
    for (; j + pair_block<T> <= cols; j += pair_block<T>) relu_kernel_block<T, kind>(depth, s + j, value + j);
    if (j < cols) {
      T block[pair_block<T>] = {};
      for (std::size_t i = j; i < cols; ++i) block[i - j] = s[i];
      relu_kernel_block<T, kind>(depth, block, block);
      for (std::size_t i = j; i < cols; ++i) value[i] = block[i - j];
    }
    if (!row_norm) continue;
    const T norm = row_norm[r];
    if constexpr (kind == ReluKernel::arc_cosine_0) {
      for (std::size_t i = 0; i < cols; ++i)
        if (norm == 0 || col_norm[i] == 0) value[i] = 0;
    } else {
      for (std::size_t i = 0; i < cols; ++i) value[i] *= norm * col_norm[i];
    }
  }
}

template <class T>
void relu_kernel(ReluKernel kind, std::size_t depth, std::size_t rows, std::size_t cols, const T* gap,
                 std::size_t gap_stride, const T* row_norm, const T* col_norm, T* out, std::size_t out_stride) {
  const auto run = kind == ReluKernel::ntk    ? relu_kernel_rows<T, ReluKernel::ntk>
                   : kind == ReluKernel::nngp ? relu_kernel_rows<T, ReluKernel::nngp>
                                              : relu_kernel_rows<T, ReluKernel::arc_cosine_0>;
  run(depth, rows, cols, gap, gap_stride, row_norm, col_norm, out, out_stride);
}

// The norm is taken of the row scaled by a power of two, so that it neither overflows nor vanishes.
template <class T>
void unit_rows(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, T bias, T* out, std::size_t out_stride,
               std::size_t cols, T* norm) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = in + r * in_stride;
    T* const u = out + r * out_stride;
    T largest = bias < 0 ? -bias : bias;
    for (std::size_t j = 0; j < d; ++j) {
      const T size = x[j] < 0 ? -x[j] : x[j];
      largest = size > largest ? size : largest;
    }
    int exponent = 0;
    if (largest > 0 && largest - largest == 0) exponent = __builtin_ilogb(static_cast<double>(largest));
    const double down = __builtin_ldexp(1.0, exponent < -1000 ? 1000 : -exponent);

    constexpr std::size_t sums = 8;
    double part[sums] = {};
    std::size_t j = 0;
    for (; j + sums <= d; j += sums)
      for (std::size_t i = 0; i < sums; ++i) part[i] += (x[j + i] * down) * (x[j + i] * down);
    for (; j < d; ++j) part[0] += (x[j] * down) * (x[j] * down);
    part[0] += (bias * down) * (bias * down);
    const double length =
        __builtin_sqrt(((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7])));

    norm[r] = static_cast<T>(length / down);
    const double shrink = length == 0 ? 0 : 1 / length;
    for (j = 0; j < d; ++j) u[j] = static_cast<T>((x[j] * down) * shrink);
    if (bias != 0) u[j++] = static_cast<T>((bias * down) * shrink);
    for (; j < cols; ++j) u[j] = 0;
  }
}

// |u - sign_k v_k|^2 for four rows v_k; d is a multiple of a vector's lanes. Long rows are summed in blocks, which keeps the
// rounding error of a sum of d squares near that of a sum of sqrt(d).
template <class T>
void squared_distances(const T* u, const T* const (&v)[4], const T (&sign)[4], std::size_t d, T (&out)[4]) {
  constexpr std::size_t block = 64 * lanes<T>;
  Vec<T> total[4] = {};
  for (std::size_t begin = 0; begin < d; begin += block) {
    const std::size_t end = begin + block < d ? begin + block : d;
    Vec<T> sum[4] = {};
    for (std::size_t j = begin; j < end; j += lanes<T>) {
      const Vec<T> a = load(u + j);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const Vec<T> difference = a - sign[k] * load(v[k] + j);
        sum[k] += difference * difference;
      }
    }
    for (int k = 0; k < 4; ++k) total[k] += sum[k];
  }
  for (int k = 0; k < 4; ++k) {
    T sum[lanes<T>];
    store(sum, total[k]);
    for (std::size_t half = lanes<T> / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) sum[i] += sum[i + half];
    out[k] = sum[0];
  }
}

// The signed gap of each cosine; whether any of them is near.
template <class T>
[[gnu::always_inline]] inline auto gap_of_cosine(Vec<T> cosine, T near_positive, T near_negative, Vec<T>& gap) {
  const Vec<T> difference = 1 - magnitude<T>(cosine);
  const Vec<T> e = difference < 0 ? Vec<T>{} : difference;
  gap = with_sign<T>(e, cosine);
  return e < (is_negative<T>(cosine) ? splat(near_negative) : splat(near_positive));
}

template <class T>
void signed_gaps(std::size_t rows, std::size_t cols, const T* cosine, std::size_t cosine_stride, const T* u,
                 std::size_t u_stride, const T* v, std::size_t v_stride, std::size_t d, T near_positive, T near_negative,
                 T* out, std::size_t out_stride) {
  constexpr std::size_t segment = 64;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t begin = 0; begin < cols; begin += segment) {
      const std::size_t n = cols - begin < segment ? cols - begin : segment;
      const T* const a = cosine + r * cosine_stride + begin;
      T* const s = out + r * out_stride + begin;
      Vec<T> gap;
      auto near_lanes = Vec<T>{} != Vec<T>{};
      std::size_t j = 0;
      for (; j + lanes<T> <= n; j += lanes<T>) {
        near_lanes |= gap_of_cosine<T>(load(a + j), near_positive, near_negative, gap);
        store(s + j, gap);
      }
      if (j < n) {
        T rest[lanes<T>] = {};
        for (std::size_t i = j; i < n; ++i) rest[i - j] = a[i];
        near_lanes |= gap_of_cosine<T>(load(rest), near_positive, near_negative, gap);
        store(rest, gap);
        for (std::size_t i = j; i < n; ++i) s[i] = rest[i - j];
      }
      bool any = false;
      for (std::size_t i = 0; i < lanes<T>; ++i) any |= near_lanes[i] != 0;
      if (!any) continue;

      std::size_t index[segment + 3];
      std::size_t count = 0;
      for (j = 0; j < n; ++j) {
        index[count] = j;
        count += is_negative(s[j]) ? -s[j] < near_negative : s[j] < near_positive;
      }
      if (count == 0) continue;
      for (j = 0; j < 3; ++j) index[count + j] = index[count - 1];
      for (j = 0; j < count; j += 4) {
        const T* near[4];
        T sign[4];
        T distance[4];
        for (std::size_t k = 0; k < 4; ++k) {
          near[k] = v + (begin + index[j + k]) * v_stride;
          sign[k] = is_negative(s[index[j + k]]) ? T(-1) : T(1);
        }
        squared_distances(u + r * u_stride, near, sign, d, distance);
        for (std::size_t k = 0; k < 4; ++k) s[index[j + k]] = sign[k] * (distance[k] / 2);
      }
    }
  }
}

// In small blocks, so that both sides stay in the first-level cache.
template <class T>
void transpose(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* out, std::size_t out_stride,
               bool above_diagonal) {
  constexpr std::size_t block = 16;
  for (std::size_t i0 = 0; i0 < rows; i0 += block) {
    const std::size_t i1 = i0 + block < rows ? i0 + block : rows;
    for (std::size_t j0 = above_diagonal ? i0 : 0; j0 < cols; j0 += block) {
      const std::size_t j1 = j0 + block < cols ? j0 + block : cols;
      for (std::size_t j = j0; j < j1; ++j) {
        const std::size_t end = above_diagonal && j < i1 ? j : i1;
        for (std::size_t i = i0; i < end; ++i) out[j * out_stride + i] = in[i * in_stride + j];
      }
    }
  }
}

template <class T>
void add(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* out, std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) out[r * out_stride + j] += in[r * in_stride + j];
}
