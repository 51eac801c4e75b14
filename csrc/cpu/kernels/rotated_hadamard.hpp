// A block of structured directions: three times a rotation of the pairs (i, i + n/2) and a Hadamard transform, and a length
// for every direction.
//
// The transform's own butterfly between the halves turns each pair by 45 degrees; here it turns by a random angle instead,
// on the load of the transforms of the two halves.

/// Elements of the first half, cosine * low + sine * high, or of the second, sine * low - cosine * high.
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

  Vec<T> any(std::size_t j) const { return full(j); }  // a half is a whole number of vectors, or transformed by elements

  [[gnu::always_inline]] T element(std::size_t j) const {
    if constexpr (second) return sine[j] * low[j] - cosine[j] * high[j];
    return cosine[j] * low[j] + sine[j] * high[j];
  }
};

/// Stores length[j] * v, as far as the first `cols` columns go.
template <class T>
struct LengthStore {
  T* out;
  const T* length;
  std::size_t cols;

  [[gnu::always_inline]] void operator()(std::size_t j, Vec<T> v) const {
    if (j + lanes<T> <= cols) {
      store(out + j, v * load(length + j));
    } else {
      rest(j, v);
    }
  }

  [[gnu::always_inline]] void element(std::size_t j, T x) const {
    if (j < cols) out[j] = x * length[j];
  }

  [[gnu::noinline]] void rest(std::size_t j, Vec<T> v) const {
    for (std::size_t i = 0; i < lanes<T>; ++i) element(j + i, v[i]);
  }
};

template <class T>
void rotated_hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const T* rotation,
                      const T* length, T* out, std::size_t out_stride, std::size_t cols, int log2_n, T* work) {
  constexpr int stages = 3;
  const std::size_t n = std::size_t{1} << log2_n;
  const std::size_t half = n / 2;
  // As many rows at a time as a pass of the transform takes.
  const std::size_t batch = log2_n < inner_levels<T> ? std::size_t{1} << (inner_levels<T> - log2_n) : 1;
  T* from = work;
  T* to = work + batch * n;
  for (std::size_t begin = 0; begin < rows; begin += batch) {
    const std::size_t count = rows - begin < batch ? rows - begin : batch;
    for (std::size_t r = 0; r < count; ++r) {
      for (std::size_t i = 0; i < d; ++i) from[r * n + i] = in[(begin + r) * in_stride + i];
      for (std::size_t i = d; i < n; ++i) from[r * n + i] = 0;
    }
    for (int stage = 0; stage < stages; ++stage) {
      const T* const cosine = rotation + n * static_cast<std::size_t>(stage);
      const auto transform_half = [&]<bool second>(std::bool_constant<second>) {
        const std::size_t first = second ? half : 0;
        const auto load_of = [=](std::size_t r) {
          // What a pass fetches for the one after it must not lie beyond the scratch memory.
          const T* const row = from + r % batch * n;
          return RotatedLoad<T, second>{row, row + half, cosine, cosine + half, half};
        };
        const auto work_of = [=](std::size_t r) { return to + r * n + first; };
        if (stage < stages - 1) {
          const auto store_of = [=](std::size_t r) { return PlainStore<T>{to + r * n + first}; };
          transform_rows<T>(count, load_of, work_of, store_of, log2_n - 1);
        } else if (cols > first) {
          const auto store_of = [=](std::size_t r) {
            return LengthStore<T>{out + (begin + r) * out_stride + first, length + first, cols - first};
          };
          transform_rows<T>(count, load_of, work_of, store_of, log2_n - 1);
        }
      };
      transform_half(std::false_type{});
      transform_half(std::true_type{});
      T* const swap = from;
      from = to;
      to = swap;
    }
  }
}
