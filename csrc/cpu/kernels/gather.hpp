// Subsampling of transformed rows, and the product of two samples (TensorSRHT's last step).
//
// Short vectors filled by scalar loads: the gather instructions measured slower (Zen 5: 2.0 cycles for the product of two
// float samples with AVX-512 gathers, 1.7 with scalar code, 1.3 so).

template <class T>
constexpr std::size_t sample_lanes = 16 / sizeof(T);

template <class T>
struct SampleOf {
  typedef T type __attribute__((vector_size(16)));
  typedef T unaligned __attribute__((vector_size(16), aligned(alignof(T)), may_alias));
};

template <class T>
[[gnu::always_inline]] inline typename SampleOf<T>::type sample(const T* x, const std::uint32_t* index) {
  typename SampleOf<T>::type v;
#pragma GCC unroll 4
  for (std::size_t i = 0; i < sample_lanes<T>; ++i) v[i] = x[index[i]];
  return v;
}

template <class T>
[[gnu::always_inline]] inline void store_sample(T* p, typename SampleOf<T>::type v) {
  *reinterpret_cast<typename SampleOf<T>::unaligned*>(p) = v;
}

template <class T>
void gather(std::size_t rows, const T* in, std::size_t in_stride, const std::uint32_t* index, T scale, T* out,
            std::size_t out_stride, std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = in + r * in_stride;
    T* const z = out + r * out_stride;
    std::size_t j = 0;
    for (; j + sample_lanes<T> <= m; j += sample_lanes<T>) store_sample(z + j, scale * sample(x, index + j));
    for (; j < m; ++j) z[j] = scale * x[index[j]];
  }
}

template <class T>
void gather_product(std::size_t rows, const T* a, std::size_t a_stride, const std::uint32_t* index_a, const T* b,
                    std::size_t b_stride, const std::uint32_t* index_b, T scale, T* out, std::size_t out_stride,
                    std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = a + r * a_stride;
    const T* const y = b + r * b_stride;
    T* const z = out + r * out_stride;
    std::size_t j = 0;
    for (; j + sample_lanes<T> <= m; j += sample_lanes<T>)
      store_sample(z + j, scale * sample(x, index_a + j) * sample(y, index_b + j));
    for (; j < m; ++j) z[j] = scale * x[index_a[j]] * y[index_b[j]];
  }
}
