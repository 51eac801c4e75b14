// Elementwise functions of projections, elementwise products, the scaling of rows, and sums of their squares.

template <class T>
void scale_rows(std::size_t rows, std::size_t cols, const T* factor, const T* in, std::size_t in_stride, T* out,
                std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) out[r * out_stride + j] = factor[r] * in[r * in_stride + j];
}

template <class T, bool with_b, bool with_sum>
void multiply_rows(std::size_t rows, std::size_t cols, const T* a, std::size_t a_stride, const T* b, std::size_t b_stride,
                   T scale, T* out, std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = a + r * a_stride;
    const T* const y = b + r * b_stride;
    T* const z = out + r * out_stride;
    std::size_t j = 0;
    for (; j + lanes<T> <= cols; j += lanes<T>) {
      Vec<T> value = scale * load(x + j);
      if constexpr (with_b) value *= load(y + j);
      if constexpr (with_sum) value += load(z + j);
      store(z + j, value);
    }
    for (; j < cols; ++j) {
      T value = scale * x[j];
      if constexpr (with_b) value *= y[j];
      if constexpr (with_sum) value += z[j];
      z[j] = value;
    }
  }
}

template <class T>
void multiply(std::size_t rows, std::size_t cols, const T* a, std::size_t a_stride, const T* b, std::size_t b_stride,
              T scale, bool add, T* out, std::size_t out_stride) {
  const auto run = b ? (add ? multiply_rows<T, true, true> : multiply_rows<T, true, false>)
                     : (add ? multiply_rows<T, false, true> : multiply_rows<T, false, false>);
  run(rows, cols, a, a_stride, b, b_stride, scale, out, out_stride);
}

template <class T>
void row_squares(std::size_t rows, std::size_t cols, const T* in, std::size_t in_stride, T* square) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = in + r * in_stride;
    Vec<T> sums = {};
    std::size_t j = 0;
    for (; j + lanes<T> <= cols; j += lanes<T>) sums += load(x + j) * load(x + j);
    T sum = 0;
    for (std::size_t k = 0; k < lanes<T>; ++k) sum += sums[k];
    for (; j < cols; ++j) sum += x[j] * x[j];
    square[r] = sum;
  }
}

template <class T>
void relu(std::size_t rows, std::size_t cols, T scale, T* z, std::size_t stride) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) {
      T& u = z[r * stride + j];
      u = u > 0 ? scale * u : T(0);
    }
}

template <class T>
void step(std::size_t rows, std::size_t cols, T scale, T* z, std::size_t stride) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < cols; ++j) {
      T& u = z[r * stride + j];
      u = u > 0 ? scale : T(0);
    }
}

// The half-octave of |u| from its bits: exponent and top mantissa bit.
template <class T>
struct HalfOctave;
template <>
struct HalfOctave<float> {
  typedef std::int32_t Int;
  static constexpr int shift = 22, bias = 127;
};
template <>
struct HalfOctave<double> {
  typedef std::int64_t Int;
  static constexpr int shift = 51, bias = 1023;
};

constexpr int dual_segments = 32;

// z <- g(z), and square[r] += sum of the squares. cubic[side][power][segment], side 1 for negative z; see DualActivation.
template <class T>
void dual_features(std::size_t rows, std::size_t cols, const T* cubic, int first_octave, [[maybe_unused]] bool even, T* z,
                   std::size_t stride, T* square) {
  typedef typename HalfOctave<T>::Int Int;
  constexpr int shift = HalfOctave<T>::shift;
  const Int base = Int(2) * (HalfOctave<T>::bias + first_octave);
  constexpr Int magnitude = ~(Int(1) << (8 * sizeof(T) - 1));
  for (std::size_t r = 0; r < rows; ++r) {
    T* const u = z + r * stride;
    std::size_t j = 0;
    T sum = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
      const auto table = [&](int side, int power, int half) {
        return (__m512)load(cubic + (side * 4 + power) * dual_segments + half * 16);
      };
      const auto cubic_of_side = [&](int side, __m512i segment, __m512 v) {
        const auto coefficient = [&](int power) {
          return (Vec<T>)_mm512_permutex2var_ps(table(side, power, 0), segment, table(side, power, 1));
        };
        const Vec<T> x = (Vec<T>)v;
        return coefficient(0) + x * (coefficient(1) + x * (coefficient(2) + x * coefficient(3)));
      };
      Vec<T> sums = {};
      for (; j < cols; j += lanes<T>) {
        const __mmask16 mask = cols - j >= 16 ? __mmask16(0xffff) : __mmask16((1u << (cols - j)) - 1);
        const __m512i bits = (__m512i)_mm512_maskz_loadu_ps(mask, u + j);
        const __m512i absolute = _mm512_and_si512(bits, _mm512_set1_epi32(magnitude));
        const __m512i raw = _mm512_sub_epi32(_mm512_srli_epi32(absolute, shift), _mm512_set1_epi32(base));
        const __m512i segment =
            _mm512_min_epi32(_mm512_max_epi32(raw, _mm512_setzero_si512()), _mm512_set1_epi32(dual_segments - 1));
        Vec<T> value = cubic_of_side(0, segment, (__m512)absolute);
        if (!even) {
          const Vec<T> negative = cubic_of_side(1, segment, (__m512)absolute);
          value = (Vec<T>)_mm512_mask_blend_ps(_mm512_movepi32_mask(bits), (__m512)value, (__m512)negative);
        }
        _mm512_mask_storeu_ps(u + j, mask, (__m512)value);
        const Vec<T> kept = (Vec<T>)_mm512_maskz_mov_ps(mask, (__m512)value);
        sums += kept * kept;
      }
      for (std::size_t k = 0; k < lanes<T>; ++k) sum += sums[k];
      square[r] += sum;
      continue;
    }
#endif
    for (; j < cols; ++j) {
      const Int bits = __builtin_bit_cast(Int, u[j]);
      const T v = __builtin_bit_cast(T, Int(bits & magnitude));
      Int segment = Int((bits & magnitude) >> shift) - base;
      segment = segment < 0 ? 0 : segment;
      segment = segment > dual_segments - 1 ? dual_segments - 1 : segment;
      const T* const c = cubic + (bits < 0 ? 4 * dual_segments : 0) + segment;
      const T value = c[0] + v * (c[dual_segments] + v * (c[2 * dual_segments] + v * c[3 * dual_segments]));
      u[j] = value;
      sum += value * value;
    }
    square[r] += sum;
  }
}
