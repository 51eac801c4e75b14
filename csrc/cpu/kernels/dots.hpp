// Inner products of parts of long rows: sums over the positions of a convolution.

template <class T>
void dots(std::size_t count, const T* a, const std::size_t* a_start, const T* b, const std::size_t* b_start,
          std::size_t length, T scale, T* out) {
  constexpr std::size_t chains = 4;  // independent sums, which hide the latency of an addition
  for (std::size_t j = 0; j < count; ++j) {
    const T* const u = a + a_start[j];
    const T* const v = b + b_start[j];
    Vec<T> sums[chains] = {};
    std::size_t t = 0;
    for (; t + chains * lanes<T> <= length; t += chains * lanes<T>)
#pragma GCC unroll 4
      for (std::size_t k = 0; k < chains; ++k)
        sums[k] = multiply_add<T>(load(u + t + k * lanes<T>), load(v + t + k * lanes<T>), sums[k]);
    for (; t + lanes<T> <= length; t += lanes<T>) sums[0] = multiply_add<T>(load(u + t), load(v + t), sums[0]);
    const Vec<T> all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    T sum = 0;
    for (std::size_t k = 0; k < lanes<T>; ++k) sum += all[k];
    for (; t < length; ++t) sum += u[t] * v[t];
    out[j] = scale * sum;
  }
}
