// Vectors of the instruction set this file is compiled for, by the compilers' vector extensions.
//
// Included only by kernels/isa.hpp, inside an unnamed namespace: everything here has internal linkage, so that code built
// for one instruction set can never be picked by the linker for a machine without it.

#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
constexpr int log2_vector_bytes = 6;
constexpr std::size_t vector_registers = 32;
#elif defined(__AVX2__)
constexpr std::size_t vector_bytes = 32;
constexpr int log2_vector_bytes = 5;
constexpr std::size_t vector_registers = 16;
#else
constexpr std::size_t vector_bytes = 16;
constexpr int log2_vector_bytes = 4;
constexpr std::size_t vector_registers = 16;
#endif

template <class T>
struct VectorOf {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  typedef T type __attribute__((vector_size(vector_bytes)));
  typedef T unaligned __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
  typedef Word bits __attribute__((vector_size(vector_bytes)));
};

template <class T>
using Vec = typename VectorOf<T>::type;

/// Unsigned integers as wide as T, for the bit patterns of a Vec<T>.
template <class T>
using BitVec = typename VectorOf<T>::bits;

template <class T>
constexpr std::size_t lanes = vector_bytes / sizeof(T);

template <class T>
constexpr int log2_lanes = log2_vector_bytes - (sizeof(T) == 4 ? 2 : 3);

template <class T>
using Lanes = std::make_index_sequence<lanes<T>>;

template <class T>
[[gnu::always_inline]] inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(p);
}

template <class T>
[[gnu::always_inline]] inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(p) = v;
}

template <class T>
[[gnu::always_inline]] inline Vec<T> splat(T x) {
  return Vec<T>{} + x;
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
  for (std::size_t i = 0; i < lanes<T>; ++i) x[i] = static_cast<T>(__builtin_sqrt(x[i]));
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

/// x, which the compiler may not fuse into the sum that it goes into. GCC 12 does so when it makes a vector of alternating
/// sums and differences of products, in spite of -ffp-contract=off.
template <class T>
[[gnu::always_inline]] inline T rounded(T x) {
#if defined(__x86_64__)
  asm("" : "+x"(x));
#endif
  return x;
}

/// Lane i of the result is lane i ^ k of v.
template <class T, std::size_t k, std::size_t... i>
[[gnu::always_inline]] inline Vec<T> exchange_lanes(Vec<T> v, std::index_sequence<i...>) {
  return __builtin_shufflevector(v, v, (i ^ k)...);
}

/// +1 in the lanes i with bit k clear, -1 in the others.
template <class T, std::size_t k, std::size_t... i>
[[gnu::always_inline]] inline Vec<T> alternating(std::index_sequence<i...>) {
  return Vec<T>{((i & k) ? T(-1) : T(1))...};
}

/// One butterfly between lanes: (v[i] + v[i ^ k]) where i has bit k clear, (v[i ^ k] - v[i]) elsewhere. A fused
/// multiply-add with +-1 rounds once, like the sum, so all instruction sets give the same bits.
template <class T, std::size_t k>
[[gnu::always_inline]] inline Vec<T> butterfly_lanes(Vec<T> v) {
  const Vec<T> sign = alternating<T, k>(Lanes<T>{});
  const Vec<T> other = exchange_lanes<T, k>(v, Lanes<T>{});
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_fmadd_ps(v, sign, other);
  else
    return _mm512_fmadd_pd(v, sign, other);
#elif defined(__FMA__)
  if constexpr (sizeof(T) == 4)
    return _mm256_fmadd_ps(v, sign, other);
  else
    return _mm256_fmadd_pd(v, sign, other);
#else
  return other + v * sign;
#endif
}

template <class T, std::size_t... i>
[[gnu::always_inline]] inline BitVec<T> one_bit_per_lane(std::index_sequence<i...>) {
  return BitVec<T>{(typename VectorOf<T>::Word{1} << i)...};
}

typedef std::uint16_t SixteenBits __attribute__((may_alias));

/// v with the sign of lane i flipped where bit i of the sign bits from number `first` on is set; `first` is a multiple of
/// the number of lanes.
template <class T>
[[gnu::always_inline]] inline Vec<T> flip_signs(Vec<T> v, const std::uint32_t* signs, std::size_t first) {
#if defined(__AVX512F__)
  // Whole bytes of the little-endian words are loaded straight into a mask register.
  if constexpr (sizeof(T) == 4) {
    const __mmask16 minus = reinterpret_cast<const SixteenBits*>(signs)[first / 16];
    return _mm512_mask_xor_ps(v, minus, v, _mm512_set1_ps(-0.0f));
  } else {
    const __mmask8 minus = reinterpret_cast<const unsigned char*>(signs)[first / 8];
    return _mm512_mask_xor_pd(v, minus, v, _mm512_set1_pd(-0.0));
  }
#else
  constexpr auto minus_zero = typename VectorOf<T>::Word{1} << (8 * sizeof(T) - 1);
  const typename VectorOf<T>::Word bits = signs[first / 32] >> (first % 32);
  const BitVec<T> minus = ((BitVec<T>{} + bits) & one_bit_per_lane<T>(Lanes<T>{})) != 0;
  return (Vec<T>)((BitVec<T>)v ^ (minus & minus_zero));
#endif
}

/// As many float64 elements as a Vec<T> has elements.
template <class T>
struct WideVec {
  static constexpr std::size_t parts = lanes<T> / lanes<double>;
  Vec<double> part[parts];
};

template <class T>
[[gnu::always_inline]] inline Vec<T> narrow(const WideVec<T>& x) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return x.part[0];
  } else {
#if defined(__AVX512F__)
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.part[0])), _mm512_cvtpd_ps(x.part[1]), 1);
#elif defined(__AVX2__)
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(x.part[0])), _mm256_cvtpd_ps(x.part[1]), 1);
#else
    Vec<T> out;
    for (std::size_t i = 0; i < lanes<T>; ++i) out[i] = static_cast<T>(x.part[i / lanes<double>][i % lanes<double>]);
    return out;
#endif
  }
}

template <class T>
[[gnu::always_inline]] inline WideVec<T> widen(Vec<T> x) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return {{x}};
  } else {
#if defined(__AVX512F__)
    return {{_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))}};
#elif defined(__AVX2__)
    return {{_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))}};
#else
    WideVec<T> out;
    for (std::size_t i = 0; i < lanes<T>; ++i) out.part[i / lanes<double>][i % lanes<double>] = static_cast<double>(x[i]);
    return out;
#endif
  }
}
