// The fast Walsh-Hadamard transform of rows.
//
// The butterflies are those of the textbook loop, level by level between elements 1, 2, 4, ... apart, so every instruction
// set and every way to split the levels into passes gives the same bits. What changes is how many levels a pass over the
// data takes: the first pass does the levels inside a vector and some between the vectors that registers hold, later ones
// are butterflies of up to 16 vectors, and rows longer than a cache are transformed in blocks that fit it, then combined.
//
// What a pass reads and writes is a parameter: signs, scale and zero padding cost no pass of their own (RowLoad), nor does
// the rotations and factors of structured directions (rotated_hadamard.hpp).

/// Levels between vectors that one pass takes, such that the vectors and the constants stay in registers.
constexpr int most_levels = vector_registers >= 32 ? 4 : 3;

/// Blocks of 2^inner_levels elements (16 KiB) stay in the first-level cache, of 2^outer_levels (512 KiB) in the second.
template <class T>
constexpr int inner_levels = sizeof(T) == 4 ? 12 : 11;
template <class T>
constexpr int outer_levels = inner_levels<T> + 5;

/// Element j of a row: scale * in[j], with the sign bit of j applied if `is_signed`, or 0 from `count` on.
template <class T, bool is_signed>
struct RowLoad {
  const T* in;
  std::size_t count;
  const std::uint32_t* signs;
  T scale;

  const T* begin() const { return in; }

  /// The rest of the row from element `first` on, a multiple of 32.
  RowLoad from(std::size_t first) const {
    return {in + first, count > first ? count - first : 0, is_signed ? signs + first / 32 : nullptr, scale};
  }

  /// Elements [j, j + lanes), all below `count`.
  [[gnu::always_inline]] Vec<T> full(std::size_t j) const {
    Vec<T> v = load(in + j);
    if constexpr (is_signed) v = flip_signs<T>(v, signs, j);
    return v * scale;
  }

  [[gnu::always_inline]] T element(std::size_t j) const {
    if (j >= count) return 0;
    const bool minus = is_signed && (signs[j / 32] >> (j % 32) & 1u);
    return rounded((minus ? -in[j] : in[j]) * scale);
  }

  /// Elements [j, j + lanes), wherever `count` is.
  [[gnu::always_inline]] Vec<T> any(std::size_t j) const {
    if (j + lanes<T> <= count) return full(j);
    return j < count ? border(j) : Vec<T>{};
  }

  [[gnu::noinline]] Vec<T> border(std::size_t j) const {
    Vec<T> v;
    for (std::size_t i = 0; i < lanes<T>; ++i) v[i] = element(j + i);
    return v;
  }
};

template <class T>
struct PlainStore {
  T* out;

  [[gnu::always_inline]] void operator()(std::size_t j, Vec<T> v) const { store(out + j, v); }
  [[gnu::always_inline]] void element(std::size_t j, T x) const { out[j] = x; }
};

/// What a pass fetches into the cache while it computes.
enum class Fetch {
  nothing,
  next,  ///< a part of what is read after it, in proportion to the time it takes, from the address `ahead` on
  own,   ///< what it reads itself a little later
};

template <class T>
constexpr std::size_t own_distance = 2048 / sizeof(T);

// The parts of the passes follow on each other: gaps would lead the processor's own fetching astray.
constexpr std::size_t fetched_first(std::size_t n) { return (5 * n + 7) / 8; }
constexpr std::size_t fetched_later(std::size_t n) { return (3 * n + 7) / 8; }

/// Fetches the next `count` vectors.
template <std::size_t count, class T>
[[gnu::always_inline]] inline void fetch(const T*& ahead) {
  constexpr std::size_t line = 64;
#pragma GCC unroll 16
  for (std::size_t byte = 0; byte < count * vector_bytes; byte += line)
    __builtin_prefetch(reinterpret_cast<const char*>(ahead) + byte);
  ahead += count * lanes<T>;
}

/// The first levels, those between the elements of each of `count` vectors. Level by level, so that neighbouring
/// instructions do not wait for one another.
template <class T, int levels, std::size_t count, int level = 0>
[[gnu::always_inline]] inline void transform_lanes(Vec<T> (&v)[count]) {
  if constexpr (level < levels) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < count; ++i) v[i] = butterfly_lanes<T, std::size_t{1} << level>(v[i]);
    transform_lanes<T, levels, count, level + 1>(v);
  }
}

/// The levels between `count` values, which are vectors or elements.
template <class V, std::size_t count>
[[gnu::always_inline]] inline void transform_values(V (&v)[count]) {
#pragma GCC unroll 4
  for (std::size_t h = 1; h < count; h *= 2) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < count; ++i) {
      if (i & h) continue;
      const V a = v[i];
      const V b = v[i + h];
      v[i] = a + b;
      v[i + h] = a - b;
    }
  }
}

/// The levels inside vectors and `levels` between neighbours, for n elements.
template <class T, int levels, Fetch fetched, class Load, class Store>
[[gnu::always_inline]] inline void first_pass(Load in, Store out, std::size_t n, const T* ahead = nullptr) {
  constexpr std::size_t radix = std::size_t{1} << levels;
  constexpr std::size_t step = radix * lanes<T>;
  for (std::size_t j = 0; j < n; j += step) {
    if constexpr (fetched == Fetch::next) fetch<fetched_first(radix)>(ahead);
    Vec<T> v[radix];
    if (j + step <= in.count) {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < radix; ++i) v[i] = in.full(j + i * lanes<T>);
    } else {
      for (std::size_t i = 0; i < radix; ++i) v[i] = in.any(j + i * lanes<T>);
    }
    transform_lanes<T, log2_lanes<T>>(v);
    transform_values(v);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < radix; ++i) out(j + i * lanes<T>, v[i]);
  }
}

/// `levels` levels from that between elements `stride` apart on, for n elements x.
template <class T, int levels, Fetch fetched, class Store>
[[gnu::always_inline]] inline void later_pass(const T* x, Store out, std::size_t n, std::size_t stride,
                                              const T* ahead = nullptr) {
  constexpr std::size_t radix = std::size_t{1} << levels;
  for (std::size_t group = 0; group < n; group += radix * stride)
    for (std::size_t j = group; j < group + stride; j += lanes<T>) {
      if constexpr (fetched == Fetch::next) fetch<fetched_later(radix)>(ahead);
      Vec<T> v[radix];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < radix; ++i) {
        if constexpr (fetched == Fetch::own) __builtin_prefetch(x + j + i * stride + own_distance<T>);
        v[i] = load(x + j + i * stride);
      }
      transform_values(v);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < radix; ++i) out(j + i * stride, v[i]);
    }
}

/// Calls body with a constant equal to `levels`, at most 4.
template <class Body>
[[gnu::always_inline]] inline void with_constant(int levels, const Body& body) {
  switch (levels) {
    case 0:
      return body(std::integral_constant<int, 0>{});
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    case 3:
      return body(std::integral_constant<int, 3>{});
    default:
      if constexpr (most_levels > 3) return body(std::integral_constant<int, 4>{});
  }
}

/// How many of `rest` levels the next pass takes, for few passes of about the same size.
constexpr int levels_of_pass(int rest, int most) {
  const int passes = (rest + most - 1) / most;
  return passes == 0 ? 0 : (rest + passes - 1) / passes;
}

/// The levels [from, log2_n) of a few rows. `work_of(r)` points to row r, `store_of(r)` is where the last pass puts it, and
/// `ahead_of(r)` points to what that pass may fetch.
template <class T, Fetch fetched, class WorkOf, class StoreOf, class AheadOf>
[[gnu::always_inline]] inline void later_passes(std::size_t rows, WorkOf work_of, StoreOf store_of, AheadOf ahead_of,
                                                int from, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  // Elements a multiple of 4 KiB apart share a set of the first-level cache, which has room for 8 lines or a few more.
  const int most = (sizeof(T) << from) >= 4096 ? 3 : most_levels;
  for (int done = from; done < log2_n;) {
    const int levels = levels_of_pass(log2_n - done, most);
    const std::size_t stride = std::size_t{1} << done;
    done += levels;
    with_constant(levels, [&](auto constant) __attribute__((always_inline)) {
      for (std::size_t r = 0; r < rows; ++r) {
        if (done < log2_n) {
          later_pass<T, constant, fetched == Fetch::own ? fetched : Fetch::nothing>(work_of(r), PlainStore<T>{work_of(r)}, n,
                                                                                    stride);
        } else {
          later_pass<T, constant, fetched>(work_of(r), store_of(r), n, stride, ahead_of(r));
        }
      }
    });
  }
}

/// Rows of at least one vector that fit the first-level cache. `load_of(r)`, `work_of(r)` and `store_of(r)` say where row r
/// comes from, where it lies between passes (n elements: what is loaded, what is stored to, or memory apart), and where it
/// goes; the load of a row beyond the last is only asked for its address, to fetch from. A pass takes as many rows as the
/// cache holds: a short row alone would wait for its own last results at every pass.
template <class T, class LoadOf, class WorkOf, class StoreOf>
void transform_inner(std::size_t rows, LoadOf load_of, WorkOf work_of, StoreOf store_of, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  const int between = log2_n - log2_lanes<T>;
  const int levels = levels_of_pass(between, most_levels);
  if (levels == between) {
    with_constant(levels, [&](auto constant) __attribute__((always_inline)) {
      for (std::size_t r = 0; r < rows; ++r) first_pass<T, constant, Fetch::nothing>(load_of(r), store_of(r), n);
    });
    return;
  }
  const std::size_t group = std::size_t{1} << (inner_levels<T> - log2_n);
  for (std::size_t begin = 0; begin < rows; begin += group) {
    const std::size_t count = rows - begin < group ? rows - begin : group;
    with_constant(levels, [&](auto constant) __attribute__((always_inline)) {
      for (std::size_t r = begin; r < begin + count; ++r)
        first_pass<T, constant, Fetch::next>(load_of(r), PlainStore<T>{work_of(r)}, n, load_of(r + group).begin());
    });
    later_passes<T, Fetch::next>(
        count, [=](std::size_t r) { return work_of(begin + r); }, [=](std::size_t r) { return store_of(begin + r); },
        [=](std::size_t r) { return load_of(begin + group + r).begin() + fetched_first(n); }, log2_lanes<T> + levels,
        log2_n);
  }
}

/// A row that fits the second-level cache: blocks that fit the first, then the levels between them.
template <class T, class Load, class Store>
void transform_outer(Load in, T* work, Store out, const T* ahead, int log2_n) {
  constexpr int inner = inner_levels<T>;
  transform_inner<T>(
      std::size_t{1} << (log2_n - inner), [=](std::size_t b) { return in.from(b << inner); },
      [=](std::size_t b) { return work + (b << inner); }, [=](std::size_t b) { return PlainStore<T>{work + (b << inner)}; },
      inner);
  later_passes<T, Fetch::next>(
      1, [=](std::size_t) { return work; }, [=](std::size_t) { return out; }, [=](std::size_t) { return ahead; }, inner,
      log2_n);
}

/// A row that fits no cache: blocks that fit the second level, then the levels between them.
template <class T, class Load, class Store>
void transform_long(Load in, T* work, Store out, int log2_n) {
  constexpr int outer = outer_levels<T>;
  for (std::size_t b = 0; b < std::size_t{1} << (log2_n - outer); ++b) {
    T* const block = work + (b << outer);
    transform_outer<T>(in.from(b << outer), block, PlainStore<T>{block}, in.begin() + ((b + 1) << outer), outer);
  }
  later_passes<T, Fetch::own>(
      1, [=](std::size_t) { return work; }, [=](std::size_t) { return out; }, [=](std::size_t) { return work; }, outer,
      log2_n);
}

/// A row shorter than a vector.
template <class T, int log2_n, class Load, class Store>
[[gnu::always_inline]] inline void transform_short(Load in, Store out) {
  constexpr std::size_t n = std::size_t{1} << log2_n;
  T v[n];
#pragma GCC unroll 8
  for (std::size_t j = 0; j < n; ++j) v[j] = in.element(j);
  transform_values(v);
#pragma GCC unroll 8
  for (std::size_t j = 0; j < n; ++j) out.element(j, v[j]);
}

/// Rows of at least one vector; see transform_inner.
template <class T, class LoadOf, class WorkOf, class StoreOf>
[[gnu::always_inline]] inline void transform_vector_rows(std::size_t rows, LoadOf load_of, WorkOf work_of, StoreOf store_of,
                                                         int log2_n) {
  if (log2_n <= inner_levels<T>) {
    transform_inner<T>(rows, load_of, work_of, store_of, log2_n);
  } else if (log2_n <= outer_levels<T>) {
    for (std::size_t r = 0; r < rows; ++r)
      transform_outer<T>(load_of(r), work_of(r), store_of(r), load_of(r + 1).begin(), log2_n);
  } else {
    for (std::size_t r = 0; r < rows; ++r) transform_long<T>(load_of(r), work_of(r), store_of(r), log2_n);
  }
}

/// Rows of any length; see transform_inner.
template <class T, class LoadOf, class WorkOf, class StoreOf>
[[gnu::always_inline]] inline void transform_rows(std::size_t rows, LoadOf load_of, WorkOf work_of, StoreOf store_of,
                                                  int log2_n) {
  if (log2_n >= log2_lanes<T>) return transform_vector_rows<T>(rows, load_of, work_of, store_of, log2_n);
  with_constant(log2_n, [&](auto constant) {
    if constexpr (constant < log2_lanes<T>)
      for (std::size_t r = 0; r < rows; ++r) transform_short<T, constant>(load_of(r), store_of(r));
  });
}

/// Short rows that lie end to end, `count` elements, as one long row. Returns how many elements are done: all of them, or
/// all but the last few if the rows are shorter than a vector.
template <class T, class Load, class Store>
[[gnu::always_inline]] inline std::size_t transform_packed(std::size_t count, Load in, Store out, int log2_n) {
  if (log2_n > log2_lanes<T>) {
    with_constant(log2_n - log2_lanes<T>, [&](auto constant) __attribute__((always_inline)) {
      first_pass<T, constant, Fetch::nothing>(in, out, count);
    });
    return count;
  }
  constexpr std::size_t batch = 8;
  std::size_t j = 0;
  with_constant(log2_n, [&](auto constant) __attribute__((always_inline)) {
    if constexpr (constant <= log2_lanes<T>)
      for (; j + batch * lanes<T> <= count; j += batch * lanes<T>) {
        Vec<T> v[batch];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < batch; ++i) v[i] = in.full(j + i * lanes<T>);
        transform_lanes<T, constant>(v);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < batch; ++i) out(j + i * lanes<T>, v[i]);
      }
  });
  return j;
}

template <class T>
void hadamard(std::size_t rows, const T* in, std::size_t in_stride, std::size_t d, const std::uint32_t* signs, T scale,
              T* out, std::size_t out_stride, int log2_n) {
  const std::size_t n = std::size_t{1} << log2_n;
  std::size_t done = 0;
  if (!signs && d == n && in_stride == n && out_stride == n && log2_n <= log2_lanes<T> + most_levels)
    done = transform_packed<T>(rows * n, RowLoad<T, false>{in, rows * n, nullptr, scale}, PlainStore<T>{out}, log2_n) / n;
  const auto transform = [&]<bool is_signed>(std::bool_constant<is_signed>) {
    transform_rows<T>(
        rows - done, [=](std::size_t r) { return RowLoad<T, is_signed>{in + (done + r) * in_stride, d, signs, scale}; },
        [=](std::size_t r) { return out + (done + r) * out_stride; },
        [=](std::size_t r) { return PlainStore<T>{out + (done + r) * out_stride}; }, log2_n);
  };
  if (signs) {
    transform(std::true_type{});
  } else {
    transform(std::false_type{});
  }
}
