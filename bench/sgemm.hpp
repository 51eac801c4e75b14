// The bound of compute-bound work: the matrix product of the BLAS that the library uses, in one thread.
#pragma once

#include <cstddef>

#ifndef FASTNTK_BLAS_PREFIX
#define FASTNTK_BLAS_PREFIX
#endif
#define FASTNTK_BENCH_JOIN_(a, b) a##b
#define FASTNTK_BENCH_JOIN(a, b) FASTNTK_BENCH_JOIN_(a, b)
#define FASTNTK_BENCH_BLAS(name) FASTNTK_BENCH_JOIN(FASTNTK_BLAS_PREFIX, name)

extern "C" {
void FASTNTK_BENCH_BLAS(sgemm_)(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                                const int*, const float*, const int*, const float*, float*, const int*);
void FASTNTK_BENCH_BLAS(dgemm_)(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
                                const int*, const double*, const int*, const double*, double*, const int*);
// OpenBLAS's own control; absent from other libraries.
[[gnu::weak]] void FASTNTK_BENCH_BLAS(openblas_set_num_threads)(int);
}

namespace bench {

/// c (m x n) = a (m x k) b (k x n), row-major.
inline void sgemm(std::size_t m, std::size_t n, std::size_t k, const float* a, const float* b, float* c) {
  if (FASTNTK_BENCH_BLAS(openblas_set_num_threads)) FASTNTK_BENCH_BLAS(openblas_set_num_threads)(1);
  const int mi = static_cast<int>(m), ni = static_cast<int>(n), ki = static_cast<int>(k);
  const float one = 1, zero = 0;
  FASTNTK_BENCH_BLAS(sgemm_)("N", "N", &ni, &mi, &ki, &one, b, &ni, a, &ki, &zero, c, &ni);
}

/// The same in float64.
inline void dgemm(std::size_t m, std::size_t n, std::size_t k, const double* a, const double* b, double* c) {
  if (FASTNTK_BENCH_BLAS(openblas_set_num_threads)) FASTNTK_BENCH_BLAS(openblas_set_num_threads)(1);
  const int mi = static_cast<int>(m), ni = static_cast<int>(n), ki = static_cast<int>(k);
  const double one = 1, zero = 0;
  FASTNTK_BENCH_BLAS(dgemm_)("N", "N", &ni, &mi, &ki, &one, b, &ni, a, &ki, &zero, c, &ni);
}

}  // namespace bench
