// The BLAS and LAPACK routines in use, single-threaded: our own pool supplies the threads, one tile or block each.
#pragma once

#include <cstddef>
#include <string>

namespace fastntk::cpu::blas {

enum class Transpose : bool { no, yes };

/// c (m x n) = alpha * op(a) * op(b) + beta * c, all row-major; op(a) is m x k and op(b) is k x n.
template <class T>
void gemm(Transpose trans_a, Transpose trans_b, std::size_t m, std::size_t n, std::size_t k, T alpha, const T* a,
          std::size_t lda, const T* b, std::size_t ldb, T beta, T* c, std::size_t ldc);

/// Lower triangle of c (n x n, row-major) = alpha * op(a) * op(a)^T + beta * c; op(a) is n x k.
template <class T>
void syrk(Transpose trans, std::size_t n, std::size_t k, T alpha, const T* a, std::size_t lda, T beta, T* c,
          std::size_t ldc);

enum class Side : bool { left, right };

/// b (m x n, row-major) = op(L)^-1 * b (left) or b * op(L)^-1 (right), L lower triangular and row-major.
template <class T>
void trsm(Side side, Transpose trans, std::size_t m, std::size_t n, const T* l, std::size_t ldl, T* b, std::size_t ldb);

/// In-place Cholesky factor of the lower triangle of a (n x n, row-major); false if a is not positive definite.
template <class T>
bool potrf(std::size_t n, T* a, std::size_t lda);

/// In-place inverse of the lower triangular l (n x n, row-major).
template <class T>
void trtri(std::size_t n, T* l, std::size_t ldl);

/// Name and version of the library behind these calls.
std::string description();

/// Keeps the library to one thread per calling thread while it lives, and then restores what was set.
class SingleThread {
 public:
  SingleThread();
  ~SingleThread();
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;
};

}  // namespace fastntk::cpu::blas
