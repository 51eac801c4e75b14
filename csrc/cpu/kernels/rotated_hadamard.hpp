// A block of structured directions: three times a rotation of the pairs (i, i + n/2) and a Hadamard transform, and a length
// for every direction.
//
// The transform's own butterfly between the halves turns each pair by 45 degrees; here it turns by a random angle instead, on
// the load of the transforms of the two halves.

/// Elements of the first half (cosine * low + sine * high) or of the second (sine * low - cosine * high).
template <class T, bool second>
struct RotatedLoad {
  const T* low;
  const T* high;
  const T* cosine;
  const T* sine;
  std::size_t count;

  const T* begin() const { return low; }

  RotatedLoad from(std::size_t first) const {
    return {low + first, high + first, cosine + first, sine + first, count - first};
  }

  [[gnu::always_inline]] Vec<T> full(std::size_t j) const {
    if constexpr (second) return load(sine + j) * load(low + j) - load(cosine + j) * load(high + j);
    return load(cosine + j) * load(low + j) + load(sine + j) * load(high + j);
  }

  Vec<T> any(std::size_t j) const { return full(j); }  // a half is a whole number of vectors
};

/// The same for halves shorter than a vector.
template <class T>
void rotate_short_pairs(const T* in, const T* cosine, const T* sine, T* out, std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    out[i] = cosine[i] * in[i] + sine[i] * in[i + half];
    out[i + half] = sine[i] * in[i] - cosine[i] * in[i + half];
  }
}

template <class T>
void rotated_hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const T* rotation, const T* length,
                      T* out, std::size_t out_stride, std::size_t cols, int log2_n, T* work) {
  constexpr int stages = 3;
  const std::size_t n = std::size_t{1} << log2_n;
  const std::size_t half = n / 2;
  for (std::size_t r = 0; r < rows; ++r) {
    T* from = work;
    T* to = work + n;
    for (std::size_t i = 0; i < d; ++i) from[i] = in[r * in_stride + i];
    for (std::size_t i = d; i < n; ++i) from[i] = 0;
    T* const z = out + r * out_stride;
    for (int stage = 0; stage < stages; ++stage) {
      const T* const cosine = rotation + n * static_cast<std::size_t>(stage);
      const T* const sine = cosine + half;
      if (half < lanes<T>) {
        rotate_short_pairs(from, cosine, sine, to, half);
        hadamard<T>(2, to, half, half, nullptr, T(1), to, half, log2_n - 1);
        if (stage == stages - 1)
          for (std::size_t j = 0; j < cols; ++j) z[j] = to[j] * length[j];
      } else {
        const RotatedLoad<T, false> first{from, from + half, cosine, sine, half};
        const RotatedLoad<T, true> second{from, from + half, cosine, sine, half};
        if (stage < stages - 1) {
          transform_row<T>(first, to, PlainStore<T>{to}, log2_n - 1);
          transform_row<T>(second, to + half, PlainStore<T>{to + half}, log2_n - 1);
        } else {
          transform_row<T>(first, to, RadiusStore<T>{z, length, cols < half ? cols : half}, log2_n - 1);
          if (cols > half)
            transform_row<T>(second, to + half, RadiusStore<T>{z + half, length + half, cols - half}, log2_n - 1);
        }
      }
      T* const swap = from;
      from = to;
      to = swap;
    }
  }
}
