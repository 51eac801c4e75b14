// Cosines of rows, and the ReLU kernels as functions of them (Cho and Saul 2009; Z21 Definition 1).
//
// Near |a| = 1 a rounded cosine a has lost the angle, so pairs are described by their signed gap: e = 1 - |a| with the sign
// of a. With w = sqrt(e) and two functions that are analytic in e,
//   acos(1 - e) = pi w Q(e),    t(e) = (sin acos(1 - e) - (1 - e) acos(1 - e))/pi = e w P(e),
// kappa_0(|a|) = 1 - w Q, kappa_0(-|a|) = w Q, kappa_1(|a|) = |a| + t and kappa_1(-|a|) = t: nothing cancels.
// The loops are plain so that the compiler makes vectors of them, with one square root and two polynomials a layer.

// Minimax fits of Q and P on [0, 1], relative error 1.5e-8 (float) and 1e-16 (double).
template <class T>
constexpr int angle_terms = sizeof(T) == 4 ? 8 : 18;
template <class T>
constexpr int arc_terms = sizeof(T) == 4 ? 7 : 17;

template <class T>
constexpr T angle_coefficients[angle_terms<T>] = {
    0.450158158078552991,     0.0375131798399073057,   0.00844046546104785106,   0.00251204341429498893,
    0.000854789854342116973,  0.0003147543030438249,   0.000121745668673012445,  0.000050996787891508315,
    0.000012023257562313327,  0.0000354753320167142711, -0.0000614935672921548328, 0.000120223342700406839,
    -0.000160805901295839582, 0.00016270792938750053,  -0.000117166503086423814, 0.000057893659446271267,
    -0.0000175177308715396734, 2.5267736791036315e-6};
template <>
constexpr float angle_coefficients<float>[8] = {0.450158152f,    0.0375139758f,  0.00842468189f,   0.00263012927f,
                                                0.000428326709f, 0.00112549035f, -0.000679740349f, 0.000398977538f};

template <class T>
constexpr T arc_coefficients[arc_terms<T>] = {
    0.300105438719035368,     0.0150052719359452997,   0.0024115615617388167,    0.00055823182057412351,
    0.000155417252017147656,  0.0000484132435159923156, 0.0000163130945440884944, 5.56863980705747288e-6,
    2.93882203281339326e-6,   -1.41947743286637531e-6, 4.93102123091220126e-6,   -6.88343771542142516e-6,
    7.84175056830165965e-6,   -6.14259329419401758e-6, 3.31822482222729747e-6,   -1.08611087052222002e-6,
    1.71717271514907631e-7};
template <>
constexpr float arc_coefficients<float>[7] = {0.300105443f,    0.0150048682f,    0.00241763391f, 0.000524403222f,
                                              0.000242983529f, -6.21056411e-5f, 7.66552648e-5f};

template <class T, int terms>
[[gnu::always_inline]] inline T polynomial(const T (&c)[terms], T x) {
  T sum = c[terms - 1];
#pragma GCC unroll 32
  for (int i = terms - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

[[gnu::always_inline]] inline float square_root(float x) { return __builtin_sqrtf(x); }
[[gnu::always_inline]] inline double square_root(double x) { return __builtin_sqrt(x); }
[[gnu::always_inline]] inline float with_sign(float x, float sign) { return __builtin_copysignf(x, sign); }
[[gnu::always_inline]] inline double with_sign(double x, double sign) { return __builtin_copysign(x, sign); }

/// w Q(e) = acos(1 - e)/pi.
template <class T>
[[gnu::always_inline]] inline T angle(T w, T e) {
  return w * polynomial(angle_coefficients<T>, e);
}

/// e w P(e).
template <class T>
[[gnu::always_inline]] inline T arc(T w, T e) {
  return e * (w * polynomial(arc_coefficients<T>, e));
}

// What the recursion carries from layer to layer, for a block of pairs: both are what is missing from the value at a = 1.
constexpr std::size_t pair_block = 256;
template <class T>
struct PairBlock {
  alignas(64) T gap[pair_block];      // 1 - S_l
  alignas(64) T deficit[pair_block];  // l + 1 - K_l
};

// kappa_0 of signed gaps.
template <class T>
void arc_cosine_0(std::size_t n, const T* s, T* value) {
  for (std::size_t j = 0; j < n; ++j) {
    const T e = s[j] < 0 ? -s[j] : s[j];
    const T turn = angle(square_root(e), e);
    value[j] = with_sign(T(1), s[j]) < 0 ? turn : 1 - turn;
  }
}

// Layer 1, where the cosine may be negative.
template <class T>
void first_layer(std::size_t n, const T* s, PairBlock<T>& block) {
  for (std::size_t j = 0; j < n; ++j) {
    const bool negative = with_sign(T(1), s[j]) < 0;
    const T e = negative ? -s[j] : s[j];
    const T w = square_root(e);
    const T turn = angle(w, e);
    const T t = arc(w, e);
    const T closed = negative ? 1 - turn : turn;  // 1 - kappa_0
    const T open = negative ? turn : 1 - turn;
    const T gap = negative ? 1 - t : e - t;
    block.gap[j] = gap;
    block.deficit[j] = (negative ? 2 - e : e) * open + closed + gap;
  }
}

// Layer l > 1: K_l = K_{l-1} kappa_0(S_{l-1}) + S_l becomes a sum of positive terms.
template <class T, bool with_deficit>
void next_layer(std::size_t n, T l, PairBlock<T>& block) {
  for (std::size_t j = 0; j < n; ++j) {
    const T e = block.gap[j];
    const T w = square_root(e);
    const T gap = e - arc(w, e);
    block.gap[j] = gap;
    if constexpr (with_deficit) {
      const T turn = angle(w, e);
      block.deficit[j] = block.deficit[j] * (1 - turn) + l * turn + gap;
    }
  }
}

template <class T>
void relu_kernel_block(ReluKernel kind, std::size_t depth, std::size_t n, const T* s, T* value) {
  if (kind == ReluKernel::arc_cosine_0) return arc_cosine_0(n, s, value);
  PairBlock<T> block;
  first_layer(n, s, block);
  for (std::size_t l = 2; l <= depth; ++l) {
    if (kind == ReluKernel::ntk) {
      next_layer<T, true>(n, static_cast<T>(l), block);
    } else {
      next_layer<T, false>(n, static_cast<T>(l), block);
    }
  }
  const T top = kind == ReluKernel::ntk ? static_cast<T>(depth) + 1 : T(1);
  const T* const missing = kind == ReluKernel::ntk ? block.deficit : block.gap;
  for (std::size_t j = 0; j < n; ++j) value[j] = top - missing[j];
}

template <class T>
void relu_kernel(ReluKernel kind, std::size_t depth, std::size_t rows, std::size_t cols, const T* gap,
                 std::size_t gap_stride, const T* row_norm, const T* col_norm, T* out, std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < cols; j += pair_block) {
      const std::size_t n = cols - j < pair_block ? cols - j : pair_block;
      T* const value = out + r * out_stride + j;
      relu_kernel_block(kind, depth, n, gap + r * gap_stride + j, value);
      if (!row_norm) continue;
      const T norm = row_norm[r];
      if (kind == ReluKernel::arc_cosine_0) {
        for (std::size_t i = 0; i < n; ++i) value[i] = norm == 0 || col_norm[j + i] == 0 ? 0 : value[i];
      } else {
        for (std::size_t i = 0; i < n; ++i) value[i] *= norm * col_norm[j + i];
      }
    }
  }
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
      int any = 0;
      for (std::size_t j = 0; j < n; ++j) {
        const T c = a[j];
        const T difference = 1 - (c < 0 ? -c : c);
        const T e = difference < 0 ? T(0) : difference;
        any |= e < (c < 0 ? near_negative : near_positive);
        s[j] = with_sign(e, c);
      }
      if (!any) continue;

      std::size_t index[segment + 3];
      std::size_t count = 0;
      for (std::size_t j = 0; j < n; ++j) {
        index[count] = j;
        const bool negative = with_sign(T(1), s[j]) < 0;
        count += negative ? -s[j] < near_negative : s[j] < near_positive;
      }
      if (count == 0) continue;
      for (std::size_t j = 0; j < 3; ++j) index[count + j] = index[count - 1];
      for (std::size_t j = 0; j < count; j += 4) {
        const T* near[4];
        T sign[4];
        T distance[4];
        for (std::size_t k = 0; k < 4; ++k) {
          near[k] = v + (begin + index[j + k]) * v_stride;
          sign[k] = with_sign(T(1), s[index[j + k]]);
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
