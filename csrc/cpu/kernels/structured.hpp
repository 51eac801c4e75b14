// Structured directions: three times random signs and a Hadamard transform, and a radius for every direction.

/// Stores radius[j] * v, as far as the first `cols` columns go.
template <class T>
struct RadiusStore {
  T* out;
  const T* radius;
  std::size_t cols;

  [[gnu::always_inline]] void operator()(std::size_t j, Vec<T> v) const {
    if (j + lanes<T> <= cols) {
      store(out + j, v * load(radius + j));
    } else {
      rest(j, v);
    }
  }

  [[gnu::always_inline]] void element(std::size_t j, T x) const {
    if (j < cols) out[j] = x * radius[j];
  }

  [[gnu::noinline]] void rest(std::size_t j, Vec<T> v) const {
    for (std::size_t i = 0; i < lanes<T>; ++i) element(j + i, v[i]);
  }
};

template <class T>
void structured(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs,
                std::size_t sign_words, const T* radius, T* out, std::size_t out_stride, std::size_t cols, int log2_n,
                T* work) {
  // As many rows at a time as a pass of the transform takes.
  const std::size_t n = std::size_t{1} << log2_n;
  const std::size_t group = log2_n < inner_levels<T> ? std::size_t{1} << (inner_levels<T> - log2_n) : 1;
  const auto work_of = [=](std::size_t r) { return work + r * n; };
  const auto plain_store_of = [=](std::size_t r) { return PlainStore<T>{work + r * n}; };
  for (std::size_t begin = 0; begin < rows; begin += group) {
    const std::size_t count = rows - begin < group ? rows - begin : group;
    const auto first_of = [=](std::size_t r) { return RowLoad<T, true>{in + (begin + r) * in_stride, d, signs, T(1)}; };
    transform_rows<T>(count, first_of, work_of, plain_store_of, log2_n);
    const auto second_of = [=](std::size_t r) { return RowLoad<T, true>{work + r * n, n, signs + sign_words, T(1)}; };
    transform_rows<T>(count, second_of, work_of, plain_store_of, log2_n);
    const auto third_of = [=](std::size_t r) { return RowLoad<T, true>{work + r * n, n, signs + 2 * sign_words, T(1)}; };
    const auto radius_store_of = [=](std::size_t r) { return RadiusStore<T>{out + (begin + r) * out_stride, radius, cols}; };
    transform_rows<T>(count, third_of, work_of, radius_store_of, log2_n);
  }
}
