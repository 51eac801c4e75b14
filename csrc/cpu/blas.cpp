// BLAS and LAPACK by their Fortran interface, which every library has; row-major matrices are passed as their transposes.
#include "blas.hpp"

#include <mutex>

#ifndef FASTNTK_BLAS_PREFIX
#define FASTNTK_BLAS_PREFIX
#endif
#define FASTNTK_JOIN_(a, b) a##b
#define FASTNTK_JOIN(a, b) FASTNTK_JOIN_(a, b)
#define FASTNTK_BLAS(name) FASTNTK_JOIN(FASTNTK_BLAS_PREFIX, name)

extern "C" {
#define FASTNTK_DECLARE_BLAS(T, x)                                                                                          \
  void FASTNTK_BLAS(x##gemm_)(const char*, const char*, const int*, const int*, const int*, const T*, const T*, const int*, \
                              const T*, const int*, const T*, T*, const int*);                                              \
  void FASTNTK_BLAS(x##syrk_)(const char*, const char*, const int*, const int*, const T*, const T*, const int*, const T*,   \
                              T*, const int*);                                                                              \
  void FASTNTK_BLAS(x##trsm_)(const char*, const char*, const char*, const char*, const int*, const int*, const T*,         \
                              const T*, const int*, T*, const int*);                                                        \
  void FASTNTK_BLAS(x##potrf_)(const char*, const int*, T*, const int*, int*);                                              \
  void FASTNTK_BLAS(x##trtri_)(const char*, const char*, const int*, T*, const int*, int*);
FASTNTK_DECLARE_BLAS(float, s)
FASTNTK_DECLARE_BLAS(double, d)
#undef FASTNTK_DECLARE_BLAS

// OpenBLAS's own controls; absent from other libraries.
[[gnu::weak]] void FASTNTK_BLAS(openblas_set_num_threads)(int);
[[gnu::weak]] int FASTNTK_BLAS(openblas_get_num_threads)();
[[gnu::weak]] char* FASTNTK_BLAS(openblas_get_config)();
}

namespace fastntk::cpu::blas {
namespace {

template <class T>
struct Routines;
#define FASTNTK_ROUTINES(T, x)                             \
  template <>                                              \
  struct Routines<T> {                                     \
    static constexpr auto gemm = FASTNTK_BLAS(x##gemm_);   \
    static constexpr auto syrk = FASTNTK_BLAS(x##syrk_);   \
    static constexpr auto trsm = FASTNTK_BLAS(x##trsm_);   \
    static constexpr auto potrf = FASTNTK_BLAS(x##potrf_); \
    static constexpr auto trtri = FASTNTK_BLAS(x##trtri_); \
  };
FASTNTK_ROUTINES(float, s)
FASTNTK_ROUTINES(double, d)
#undef FASTNTK_ROUTINES

const char* code(Transpose t) { return t == Transpose::yes ? "T" : "N"; }

int as_int(std::size_t n) { return static_cast<int>(n); }

}  // namespace

// Row-major C = op(A) op(B) is column-major C^T = op(B)^T op(A)^T.
template <class T>
void gemm(Transpose trans_a, Transpose trans_b, std::size_t m, std::size_t n, std::size_t k, T alpha, const T* a,
          std::size_t lda, const T* b, std::size_t ldb, T beta, T* c, std::size_t ldc) {
  const int mi = as_int(m), ni = as_int(n), ki = as_int(k), la = as_int(lda), lb = as_int(ldb), lc = as_int(ldc);
  Routines<T>::gemm(code(trans_b), code(trans_a), &ni, &mi, &ki, &alpha, b, &lb, a, &la, &beta, c, &lc);
}

// A row-major lower triangle is a column-major upper one, and op(A) becomes its transpose.
template <class T>
void syrk(Transpose trans, std::size_t n, std::size_t k, T alpha, const T* a, std::size_t lda, T beta, T* c,
          std::size_t ldc) {
  const int ni = as_int(n), ki = as_int(k), la = as_int(lda), lc = as_int(ldc);
  Routines<T>::syrk("U", trans == Transpose::yes ? "N" : "T", &ni, &ki, &alpha, a, &la, &beta, c, &lc);
}

// (op(L)^-1 B)^T = B^T op(L)^-T: the sides change places. The stored column-major upper triangle is L^T already, so the
// transposition stays as it is.
template <class T>
void trsm(Side side, Transpose trans, std::size_t m, std::size_t n, const T* l, std::size_t ldl, T* b, std::size_t ldb) {
  const int mi = as_int(m), ni = as_int(n), ll = as_int(ldl), lb = as_int(ldb);
  const T one = 1;
  const char* mirrored = side == Side::left ? "R" : "L";
  Routines<T>::trsm(mirrored, "U", code(trans), "N", &ni, &mi, &one, l, &ll, b, &lb);
}

template <class T>
bool potrf(std::size_t n, T* a, std::size_t lda) {
  const int ni = as_int(n), la = as_int(lda);
  int info = 0;
  Routines<T>::potrf("U", &ni, a, &la, &info);
  return info == 0;
}

template <class T>
void trtri(std::size_t n, T* l, std::size_t ldl) {
  const int ni = as_int(n), ll = as_int(ldl);
  int info = 0;
  Routines<T>::trtri("U", "N", &ni, l, &ll, &info);
}

#define FASTNTK_INSTANTIATE(T)                                                                                           \
  template void gemm<T>(Transpose, Transpose, std::size_t, std::size_t, std::size_t, T, const T*, std::size_t, const T*, \
                        std::size_t, T, T*, std::size_t);                                                                \
  template void syrk<T>(Transpose, std::size_t, std::size_t, T, const T*, std::size_t, T, T*, std::size_t);              \
  template void trsm<T>(Side, Transpose, std::size_t, std::size_t, const T*, std::size_t, T*, std::size_t);              \
  template bool potrf<T>(std::size_t, T*, std::size_t);                                                                  \
  template void trtri<T>(std::size_t, T*, std::size_t);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

std::string description() {
  if (FASTNTK_BLAS(openblas_get_config)) return FASTNTK_BLAS(openblas_get_config)();
  return "system BLAS";
}

namespace {
std::mutex thread_setting;
int users = 0;
int saved_threads = 0;
}  // namespace

SingleThread::SingleThread() {
  if (!FASTNTK_BLAS(openblas_set_num_threads)) return;
  const std::scoped_lock lock(thread_setting);
  if (users++ == 0) {
    saved_threads = FASTNTK_BLAS(openblas_get_num_threads)();
    FASTNTK_BLAS(openblas_set_num_threads)(1);
  }
}

SingleThread::~SingleThread() {
  if (!FASTNTK_BLAS(openblas_set_num_threads)) return;
  const std::scoped_lock lock(thread_setting);
  if (--users == 0) FASTNTK_BLAS(openblas_set_num_threads)(saved_threads);
}

}  // namespace fastntk::cpu::blas
