// Row-major matrix operations of cuBLAS and cuSOLVER, on the backend's stream. The libraries are loaded when they are first
// needed; without them these throw BackendError, which says where they were looked for and how to get them.
//
// Beside the backend's max_memory cuBLAS has a workspace of 4 or 32 MiB of each stream in use.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace fastntk::cuda::blas {

enum class Transpose { no, yes };
enum class Side { left, right };

/// Holds cuBLAS and a workspace: while it lives, the products and triangular solves that this thread asks of the same
/// backend use them, and do not fail for lack of memory. Of several the last one counts.
class Session {
 public:
  explicit Session(const Cuda& backend);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  struct State;

 private:
  std::unique_ptr<State> state_;
};

/// c (m, n) = alpha op(a) op(b) + beta c, op(a) (m, k), in T without lower-precision shortcuts.
template <Real T>
void gemm(const Cuda& backend, Transpose op_a, Transpose op_b, std::size_t m, std::size_t n, std::size_t k, T alpha,
          const T* a, std::size_t lda, const T* b, std::size_t ldb, T beta, T* c, std::size_t ldc);

/// gemm() of `count` triples of matrices of one shape: a, b and c are arrays of pointers, in device memory and all to device
/// memory. No two c overlap.
template <Real T>
void gemm_batched(const Cuda& backend, Transpose op_a, Transpose op_b, std::size_t m, std::size_t n, std::size_t k, T alpha,
                  const T* const* a, std::size_t lda, const T* const* b, std::size_t ldb, T beta, T* const* c,
                  std::size_t ldc, std::size_t count);

/// The lower triangle of c (n, n) = alpha op(a) op(a)^T + beta c, op(a) (n, k).
template <Real T>
void syrk(const Cuda& backend, Transpose op_a, std::size_t n, std::size_t k, T alpha, const T* a, std::size_t lda, T beta,
          T* c, std::size_t ldc);

/// b (m, n) = op(l)^-1 b or b op(l)^-1, l lower triangular.
template <Real T>
void trsm(const Cuda& backend, Side side, Transpose op_l, std::size_t m, std::size_t n, const T* l, std::size_t ldl, T* b,
          std::size_t ldb);

/// The lower Cholesky factor of a (n, n) in place; *info, in device memory, becomes 0, or positive if there is none.
/// `work` is device memory of potrf_work<T>(backend, n, lda) elements.
template <Real T>
std::size_t potrf_work(const Cuda& backend, std::size_t n, std::size_t lda);
template <Real T>
void potrf(const Cuda& backend, std::size_t n, T* a, std::size_t lda, T* work, std::size_t work_size, int* info);

/// Versions and places of both libraries, or that they are not found.
std::string description();

}  // namespace fastntk::cuda::blas
