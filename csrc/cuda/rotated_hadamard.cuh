// Blocks of structured directions in registers: three times a rotation of the pairs (i, i + n/2) and a Hadamard transform.
//
// A team of threads holds a chunk of 32 values a thread: 1024 values of one warp, that is 1024 / n blocks end to end, or one
// block of 2048 or 4096 values of two or four warps. Two layouts keep every level between registers:
//   strided     element k * threads + t is register k of thread t: the upper five bits of the index
//   contiguous  element t * 32 + k is register k of thread t: the lower five bits
// A stage rotates and does its upper levels in the strided layout, its lower ones in the contiguous one. (A block of 2048 or
// 4096 leaves a level or two between neighbouring lanes; blocks of 32 and less need the contiguous layout only.) Values
// change the layout through shared memory, where 32 values in a row are 16 bytes short of the next row: neither lanes that
// read single values of one row meet in a bank, nor lanes that read 16-byte pieces of their rows; and all places are
// constants away from two addresses. 32 wavefronts in and 32 out, for floats.
#pragma once

#include <bit>
#include <cstddef>

#include "platform.cuh"

namespace fastntk::cuda {

template <class T, int log2_n>
struct RotatedChunk {
  static constexpr int values = 32;
  static constexpr int n = 1 << log2_n;
  static constexpr int warps = n <= 1024 ? 1 : n / 1024;
  static constexpr int threads = 32 * warps;
  static constexpr int size = values * threads;
  static constexpr int blocks = size / n;  // of directions
  static constexpr int stages = 3;
  static constexpr int shared_size = threads * (values + 16 / static_cast<int>(sizeof(T)));
  static constexpr bool starts_strided = n > values;

  /// An element's block in the chunk and its index there, base + offset. The base depends on the thread and the offset on
  /// the register, a constant: 32 indices need one register, as long as the two are not added up.
  struct Element {
    int block, base, offset;
  };

  /// The element that thread t of the team has in register k before transform(), and after it.
  __device__ static constexpr Element before(int t, int k) {
    if constexpr (starts_strided) return after(t, k);
    return {t * (values / n) + k / n, 0, k % n};
  }
  __device__ static constexpr Element after(int t, int k) {
    if constexpr (n >= threads) {
      constexpr int of_block = n / threads;
      return {k / of_block, t, k % of_block * threads};
    } else {
      constexpr int of_row = threads / n;
      return {k * of_row + t / n, t % n, 0};
    }
  }

  /// Coefficients of block q of the chunk start at rotation + q * block_stride; blocks after `last` have none and take those
  /// of `last`. `shared` has room for shared_size values, of which a thread may have put and got its own before.
  __device__ static void transform(T (&v)[values], const T* rotation, int block_stride, int last, T* shared, int t) {
    // Unrolled, the coefficients of all stages would be fetched ahead into registers that then are missing.
#pragma unroll 1
    for (int stage = 0; stage < stages; ++stage) {
      rotate(v, rotation + stage * n, block_stride, last, t);
      levels<rotated_bit>(v);
      if constexpr (starts_strided) {
        put_strided(v, shared, t);
        synchronize();
        get_contiguous(v, shared, t);
        levels<5>(v);
        lane_levels(v, t);
        contiguous_to_strided(v, shared, t);
      }
    }
    if constexpr (!starts_strided) {
      synchronize();  // others may still be reading what they left there before
      contiguous_to_strided(v, shared, t);
    }
  }

  /// Between registers as transform() leaves them and `shared`.
  __device__ static void put_strided(const T (&v)[values], T* shared, int t) {
#pragma unroll
    for (int k = 0; k < values; ++k) shared[strided_place(t, k)] = v[k];
  }
  __device__ static void get_strided(T (&v)[values], const T* shared, int t) {
#pragma unroll
    for (int k = 0; k < values; ++k) v[k] = shared[strided_place(t, k)];
  }

 private:
  static constexpr int log2_warps = warps == 4 ? 2 : warps == 2 ? 1 : 0;
  static constexpr int rotated_bit = starts_strided ? log2_n - 1 - 5 - log2_warps : log2_n - 1;  // of the register
  static constexpr int piece = 16 / sizeof(T);
  static constexpr int pieces = values / piece;
  static constexpr int row = values + piece;

  // Element e lies in row e / 32.
  __device__ static int strided_place(int t, int k) { return (k * warps + t / 32) * row + t % 32; }
  __device__ static int contiguous_place(int t, int p) { return t * row + p * piece; }

  struct alignas(16) Piece {
    T v[piece];
  };

  __device__ static void synchronize() {
    if constexpr (warps == 1) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }

  __device__ static void rotate(T (&v)[values], const T* rotation, int block_stride, int last, int t) {
    constexpr int partner = 1 << rotated_bit;
#pragma unroll
    for (int k = 0; k < values; ++k) {
      if (k & partner) continue;
      const Element e = before(t, k);
      const int block = blocks == 1 ? 0 : e.block < last ? e.block : last;
      const T* const cosine = rotation + block * block_stride + e.base + e.offset;
      const T c = cosine[0];
      const T s = cosine[n / 2];
      const T low = v[k];
      const T high = v[k + partner];
      v[k] = c * low + s * high;
      v[k + partner] = s * low - c * high;
    }
  }

  template <int count>
  __device__ static void levels(T (&v)[values]) {
#pragma unroll
    for (int level = 0; level < count; ++level)
#pragma unroll
      for (int k = 0; k < values; ++k) {
        if (k >> level & 1) continue;
        const T a = v[k];
        const T b = v[k + (1 << level)];
        v[k] = a + b;
        v[k + (1 << level)] = a - b;
      }
  }

  // In the contiguous layout these are the next bits of the index.
  __device__ static void lane_levels(T (&v)[values], int t) {
#pragma unroll
    for (int level = 0; level < log2_warps; ++level) {
      const T sign = t >> level & 1 ? T(-1) : T(1);
#pragma unroll
      for (int k = 0; k < values; ++k) {
        const T other = __shfl_xor_sync(whole_warp, v[k], 1 << level);
        v[k] = sign * v[k] + other;
      }
    }
  }

  __device__ static void put_contiguous(const T (&v)[values], T* shared, int t) {
#pragma unroll
    for (int p = 0; p < pieces; ++p) {
      Piece x;
#pragma unroll
      for (int i = 0; i < piece; ++i) x.v[i] = v[p * piece + i];
      *reinterpret_cast<Piece*>(shared + contiguous_place(t, p)) = x;
    }
  }
  __device__ static void contiguous_to_strided(T (&v)[values], T* shared, int t) {
    put_contiguous(v, shared, t);
    synchronize();
    get_strided(v, shared, t);
  }
  __device__ static void get_contiguous(T (&v)[values], const T* shared, int t) {
#pragma unroll
    for (int p = 0; p < pieces; ++p) {
      const Piece x = *reinterpret_cast<const Piece*>(shared + contiguous_place(t, p));
#pragma unroll
      for (int i = 0; i < piece; ++i) v[p * piece + i] = x.v[i];
    }
  }
};

/// Blocks longer than this do not fit the registers of a team.
constexpr std::size_t longest_rotated_block = 4096;

/// Calls body with the RotatedChunk of blocks of n = 2^k <= longest_rotated_block elements, n >= 2.
template <class T, class Body>
void with_rotated_chunk(std::size_t n, const Body& body) {
  switch (std::countr_zero(n)) {
    case 1:
      return body(RotatedChunk<T, 1>{});
    case 2:
      return body(RotatedChunk<T, 2>{});
    case 3:
      return body(RotatedChunk<T, 3>{});
    case 4:
      return body(RotatedChunk<T, 4>{});
    case 5:
      return body(RotatedChunk<T, 5>{});
    case 6:
      return body(RotatedChunk<T, 6>{});
    case 7:
      return body(RotatedChunk<T, 7>{});
    case 8:
      return body(RotatedChunk<T, 8>{});
    case 9:
      return body(RotatedChunk<T, 9>{});
    case 10:
      return body(RotatedChunk<T, 10>{});
    case 11:
      return body(RotatedChunk<T, 11>{});
    default:
      return body(RotatedChunk<T, 12>{});
  }
}

}  // namespace fastntk::cuda
