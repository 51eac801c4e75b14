// The activation of a trained network, and its derivative as bits: bit j % 32 of word j / 32 belongs to column j.

constexpr std::size_t mask_bits = 32;

// Bit i: whether lane i is positive or NaN.
template <class T>
[[gnu::always_inline]] inline std::uint32_t active_lanes(Vec<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_cmp_ps_mask(v, Vec<T>{}, _CMP_NLE_UQ);
  else
    return _mm512_cmp_pd_mask(v, Vec<T>{}, _CMP_NLE_UQ);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(v, Vec<T>{}, _CMP_NLE_UQ)));
  else
    return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_cmp_pd(v, Vec<T>{}, _CMP_NLE_UQ)));
#elif defined(__SSE2__)
  if constexpr (sizeof(T) == 4)
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpnle_ps((__m128)v, (__m128)Vec<T>{})));
  else
    return static_cast<std::uint32_t>(_mm_movemask_pd(_mm_cmpnle_pd((__m128d)v, (__m128d)Vec<T>{})));
#else
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < lanes<T>; ++i) bits |= static_cast<std::uint32_t>(!(v[i] <= 0)) << i;
  return bits;
#endif
}

// All ones in lane i where bit i is set.
template <class T>
[[gnu::always_inline]] inline BitVec<T> lanes_of(std::uint32_t bits) {
  const auto word = static_cast<typename VectorOf<T>::Word>(bits);
  return (BitVec<T>)(((BitVec<T>{} + word) & one_bit_per_lane<T>(Lanes<T>{})) != 0);
}

template <class T>
[[gnu::always_inline]] inline Vec<T> keep_lanes(Vec<T> v, std::uint32_t bits) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), v);
  else
    return _mm512_maskz_mov_pd(static_cast<__mmask8>(bits), v);
#else
  return (Vec<T>)((BitVec<T>)v & lanes_of<T>(bits));
#endif
}

// h <- scale ReLU(h), and the mask of what is active.
template <class T>
void relu_forward(std::size_t rows, std::size_t cols, T scale, T* h, std::size_t stride, std::uint32_t* mask,
                  std::size_t mask_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t first = 0; first < cols; first += mask_bits) {
      T* const z = h + r * stride + first;
      std::uint32_t word = 0;
      if (first + mask_bits <= cols) {
        for (std::size_t k = 0; k < mask_bits; k += lanes<T>) {
          const Vec<T> v = load(z + k);
          const std::uint32_t active = active_lanes<T>(v);
          word |= active << k;
          store(z + k, keep_lanes<T>(scale * v, active));
        }
      } else {
        for (std::size_t k = 0; first + k < cols; ++k) {
          const bool active = !(z[k] <= 0);
          word |= static_cast<std::uint32_t>(active) << k;
          z[k] = active ? scale * z[k] : T(0);
        }
      }
      mask[r * mask_stride + first / mask_bits] = word;
    }
  }
}

// delta <- scale delta where the mask is set, else 0.
template <class T>
void mask_rows(std::size_t rows, std::size_t cols, const std::uint32_t* mask, std::size_t mask_stride, T scale, T* delta,
               std::size_t stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t first = 0; first < cols; first += mask_bits) {
      T* const z = delta + r * stride + first;
      const std::uint32_t word = mask[r * mask_stride + first / mask_bits];
      if (first + mask_bits <= cols) {
        for (std::size_t k = 0; k < mask_bits; k += lanes<T>) store(z + k, keep_lanes<T>(scale * load(z + k), word >> k));
      } else {
        for (std::size_t k = 0; first + k < cols; ++k) z[k] = word >> k & 1u ? scale * z[k] : T(0);
      }
    }
  }
}
