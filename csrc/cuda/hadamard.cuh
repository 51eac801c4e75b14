// The fast Walsh-Hadamard transform on chip, the part that all its kernels share.
//
// A chunk of 2^c elements, c >= 10, is transformed by 2^(c - 5) threads that hold 32 elements each: several short rows by
// a warp, a long row by a block. A Layout says which bits of an element's number its register counts, the others being the
// thread's; the levels of those bits need no communication. Between layouts the elements change threads through shared
// memory, so that every level is done in turn, from neighbours upwards: the same butterflies in the same order as on the
// CPU, which gives the same bits. The first and the last layout are made for vectors of 16 bytes, neighbouring threads
// taking neighbouring vectors; the second lies within a warp, which then needs no barrier of the block.
#pragma once

#include <algorithm>
#include <bit>
#include <tuple>

#include "platform.cuh"

namespace fastntk::cuda {

constexpr int log2_values = 5;
constexpr unsigned n_values = 1u << log2_values;  ///< elements a thread holds
constexpr int log2_warp_chunk = 10;               ///< elements a warp holds

/// `low` of the register's bits are the elements' lowest; the others end at bit `top`. The thread's bits are the rest.
template <int low, int top>
struct Layout {
  static constexpr int low_bits = low;
  static constexpr int gap_end = top - log2_values + low;
  static constexpr bool in_warp = top <= log2_warp_chunk;

  /// The number of a thread's element i is position(thread) | offset(i).
  __device__ static unsigned position(unsigned thread) {
    constexpr int below = top - log2_values;
    return (thread & ((1u << below) - 1)) << low | (thread >> below) << top;
  }
  static constexpr unsigned offset(unsigned i) { return (i & ((1u << low) - 1)) | (i >> low) << gap_end; }
  static constexpr int register_bit(int level) { return level < low ? level : level - gap_end + low; }
};

/// A layout and the levels that are done in it.
template <class L, int from_level, int to_level>
struct Phase {
  using Layout = L;
  static constexpr int from = from_level;
  static constexpr int to = to_level;
};

/// log2 of the elements in 16 bytes.
template <class T>
constexpr int log2_pack = std::countr_zero(16 / sizeof(T));

template <class T, unsigned count>
struct alignas(sizeof(T) * count) Pack {
  T values[count];
};

/// Where element e of a chunk lies in shared memory. A warp whose threads differ in bits v + 5 .. of e, beyond the vectors
/// of 2^v elements that they started with, would find all of them in few banks; so these bits are added to those below.
template <class T, int v>
__host__ __device__ constexpr unsigned place(unsigned e) {
  constexpr int bank_bits = sizeof(T) == 4 ? 5 : 4;
  constexpr int a = log2_pack<T>;
  unsigned p = e ^ (e >> log2_values & ((1u << bank_bits) - (1u << v)));
  // Vectors longer than 16 bytes leave out every second pack.
  if constexpr (v > a) p ^= e >> (log2_values - a) & ((1u << v) - (1u << a));
  return p;
}

/// x, of which the compiler knows nothing. It would otherwise keep the addresses of one exchange for the next one, in
/// registers that the elements need.
__device__ inline unsigned forgotten(unsigned x) {
  asm volatile("" : "+r"(x));
  return x;
}

template <class L, int v, class T>
__device__ inline void write_shared(const T (&x)[n_values], T* shared, unsigned thread) {
  constexpr unsigned width = 1u << std::min(L::low_bits, log2_pack<T>);
  const unsigned p = forgotten(place<T, v>(L::position(thread)));
#pragma unroll
  for (unsigned i = 0; i < n_values; i += width) {
    constexpr unsigned banks = 31;
    const unsigned q = place<T, v>(L::offset(i));
    Pack<T, width> pack;
#pragma unroll
    for (unsigned k = 0; k < width; ++k) pack.values[k] = x[i + k];
    *reinterpret_cast<Pack<T, width>*>(shared + (p ^ (q & banks)) + (q & ~banks)) = pack;
  }
}

template <class L, int v, class T>
__device__ inline void read_shared(T (&x)[n_values], const T* shared, unsigned thread) {
  constexpr unsigned width = 1u << std::min(L::low_bits, log2_pack<T>);
  const unsigned p = place<T, v>(L::position(thread));
#pragma unroll
  for (unsigned i = 0; i < n_values; i += width) {
    constexpr unsigned banks = 31;
    const unsigned q = place<T, v>(L::offset(i));
    const auto pack = *reinterpret_cast<const Pack<T, width>*>(shared + (p ^ (q & banks)) + (q & ~banks));
#pragma unroll
    for (unsigned k = 0; k < width; ++k) x[i + k] = pack.values[k];
  }
}

/// Those of the phase's levels that lie in [first, end).
template <class P, class T>
__device__ inline void butterflies(T (&x)[n_values], int first, int end) {
#pragma unroll
  for (int level = P::from; level < P::to; ++level) {
    if (level < first || level >= end) continue;
    const unsigned h = 1u << P::Layout::register_bit(level);
#pragma unroll
    for (unsigned i = 0; i < n_values; ++i) {
      if (i & h) continue;
      const T a = x[i];
      const T b = x[i + h];
      x[i] = a + b;
      x[i + h] = a - b;
    }
  }
}

/// The levels [first, end), phase after phase, from x in the first one's layout to x in the last one's. `shared` has room
/// for the chunk; a thread writes where it has read before, so that one barrier an exchange is enough.
template <int v, class P, class... Later, class T>
__device__ inline void transform(T (&x)[n_values], [[maybe_unused]] T* shared, [[maybe_unused]] unsigned thread, int first,
                                 int end) {
  butterflies<P>(x, first, end);
  if constexpr (sizeof...(Later) > 0) {
    using Next = std::tuple_element_t<0, std::tuple<Later...>>;
    write_shared<typename P::Layout, v>(x, shared, thread);
    if constexpr (P::Layout::in_warp && Next::Layout::in_warp) {
      __syncwarp();
    } else {
      __syncthreads();
    }
    read_shared<typename Next::Layout, v>(x, shared, thread);
    transform<v, Later...>(x, shared, thread, first, end);
  }
}

/// The phases of rows, 2^chunk elements or several shorter ones, that are read in vectors of 2^v elements.
template <class T, int v, int chunk>
struct RowTransform {
  static constexpr int second = v + log2_values;      // the level after the second phase
  static constexpr int rest = chunk - second;         // levels from there on
  static constexpr bool in_two = rest > log2_values;  // they take two phases
  static constexpr int third = in_two ? second + log2_values : second;
  using First = Layout<v, log2_warp_chunk>;
  using Last = Layout<std::min(v, log2_values - (chunk - third)), chunk>;

  /// The first `levels` levels of x, from First to Last.
  __device__ static void run(T (&x)[n_values], T* shared, unsigned thread, int levels) {
    using Start = Phase<First, 0, v>;
    using Second = Phase<Layout<0, second>, v, second>;
    using End = Phase<Last, third, chunk>;
    if constexpr (in_two) {
      transform<v, Start, Second, Phase<Layout<0, third>, second, third>, End>(x, shared, thread, 0, levels);
    } else if (chunk > log2_warp_chunk || levels > v) {
      transform<v, Start, Second, End>(x, shared, thread, 0, levels);
    } else {
      butterflies<Start>(x, 0, levels);  // First is Last
    }
  }
};

}  // namespace fastntk::cuda
