// Unit rows, the signed gaps of their cosines, and the ReLU kernels of these.

// Pairs that go through the layers together: enough vectors to hide the latency of the polynomials.
constexpr std::size_t group = 4;
template <class T>
constexpr std::size_t pair_block = group * lanes<T>;

// The kernel of pair_block signed gaps.
template <class T, ReluKernel kind>
void relu_kernel_block(std::size_t depth, const T* s, T* value) {
  Vec<T> gaps[group], values[group];
  for (std::size_t i = 0; i < group; ++i) gaps[i] = load(s + i * lanes<T>);
  relu_kernel_of<T, kind>(depth, gaps, values);
  for (std::size_t i = 0; i < group; ++i) store<T>(value + i * lanes<T>, values[i]);
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
  gap = signed_gap<T>(cosine);
  return magnitude<T>(gap) < (is_negative<T>(cosine) ? splat(near_negative) : splat(near_positive));
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
