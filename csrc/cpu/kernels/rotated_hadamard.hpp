// A block of structured directions: three times a rotation of the pairs (i, i + n/2) and a Hadamard transform.
//
// The transform's own first butterfly turns each pair by 45 degrees; here it turns by a random angle instead, and the
// transforms of the two halves follow.

template <class T>
void rotate_pairs(const T* in, std::size_t d, const T* cosine, const T* sine, T* out, std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    const T a = i < d ? in[i] : T(0);
    const T b = i + half < d ? in[i + half] : T(0);
    out[i] = cosine[i] * a + sine[i] * b;
    out[i + half] = sine[i] * a - cosine[i] * b;
  }
}

template <class T>
void rotated_hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const T* rotation, const T* length,
                      T* out, std::size_t out_stride, std::size_t cols, int log2_n, T* work) {
  const std::size_t half = std::size_t{1} << (log2_n - 1);
  for (std::size_t r = 0; r < rows; ++r) {
    for (int stage = 0; stage < 3; ++stage) {
      const T* const cosine = rotation + 2 * half * static_cast<std::size_t>(stage);
      rotate_pairs(stage == 0 ? in + r * in_stride : work, stage == 0 ? d : 2 * half, cosine, cosine + half, work, half);
      hadamard<T>(2, work, half, half, nullptr, T(1), work, half, log2_n - 1);
    }
    for (std::size_t j = 0; j < cols; ++j) out[r * out_stride + j] = length[j] * work[j];
  }
}
