// What is used of cuBLAS and cuSOLVER (version 12 or newer), declared here because neither is needed to build.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>

#include "platform.cuh"

namespace fastntk::cuda::blas {

// Both libraries are column-major. Enumerations are int in their binary interface, handles are pointers.
using Handle = void*;
constexpr int success = 0;
constexpr int not_initialized = 1;  // of both libraries, as is the next
constexpr int allocation_failed[] = {3, 2};
constexpr int operation_none = 0, operation_transpose = 1;
constexpr int lower = 0, upper = 1;
constexpr int left = 0, right = 1;
constexpr int non_unit = 0;
constexpr int default_math = 0;  // no TF32
template <Real T>
constexpr int data_type = sizeof(T) == 4 ? 0 : 1;

template <Real T>
struct Routines {
  int (*gemm)(Handle, int op_a, int op_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* alpha, const T* a,
              std::int64_t lda, const T* b, std::int64_t ldb, const T* beta, T* c, std::int64_t ldc);
  int (*gemm_batched)(Handle, int op_a, int op_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* alpha,
                      const T* const* a, std::int64_t lda, const T* const* b, std::int64_t ldb, const T* beta, T* const* c,
                      std::int64_t ldc, std::int64_t count);
  int (*syrk)(Handle, int uplo, int op_a, std::int64_t n, std::int64_t k, const T* alpha, const T* a, std::int64_t lda,
              const T* beta, T* c, std::int64_t ldc);
  int (*trsm)(Handle, int side, int uplo, int op_a, int diag, std::int64_t m, std::int64_t n, const T* alpha, const T* a,
              std::int64_t lda, T* b, std::int64_t ldb);
};

struct Cublas {
  int (*create)(Handle*);
  int (*set_stream)(Handle, cudaStream_t);
  int (*set_workspace)(Handle, void*, std::size_t);
  int (*set_math_mode)(Handle, int);
  int (*property)(int which, int* value);
  Routines<float> single;
  Routines<double> twice;
};

struct Cusolver {
  int (*create)(Handle*);
  int (*create_params)(Handle*);
  int (*set_stream)(Handle, cudaStream_t);
  int (*property)(int which, int* value);
  int (*potrf_work)(Handle, Handle params, int uplo, std::int64_t n, int type, const void* a, std::int64_t lda,
                    int compute_type, std::size_t* device_bytes, std::size_t* host_bytes);
  int (*potrf)(Handle, Handle params, int uplo, std::int64_t n, int type, void* a, std::int64_t lda, int compute_type,
               void* device_work, std::size_t device_bytes, void* host_work, std::size_t host_bytes, int* info);
};

/// Calls visit(member, name) for every function of a table.
template <class Visit>
void for_each_symbol(Cublas& api, Visit&& visit) {
  visit(api.create, "cublasCreate_v2");
  visit(api.set_stream, "cublasSetStream_v2");
  visit(api.set_workspace, "cublasSetWorkspace_v2");
  visit(api.set_math_mode, "cublasSetMathMode");
  visit(api.property, "cublasGetProperty");
  visit(api.single.gemm, "cublasSgemm_v2_64");
  visit(api.single.gemm_batched, "cublasSgemmBatched_64");
  visit(api.single.syrk, "cublasSsyrk_v2_64");
  visit(api.single.trsm, "cublasStrsm_v2_64");
  visit(api.twice.gemm, "cublasDgemm_v2_64");
  visit(api.twice.gemm_batched, "cublasDgemmBatched_64");
  visit(api.twice.syrk, "cublasDsyrk_v2_64");
  visit(api.twice.trsm, "cublasDtrsm_v2_64");
}
template <class Visit>
void for_each_symbol(Cusolver& api, Visit&& visit) {
  visit(api.create, "cusolverDnCreate");
  visit(api.create_params, "cusolverDnCreateParams");
  visit(api.set_stream, "cusolverDnSetStream");
  visit(api.property, "cusolverGetProperty");
  visit(api.potrf_work, "cusolverDnXpotrf_bufferSize");
  visit(api.potrf, "cusolverDnXpotrf");
}

}  // namespace fastntk::cuda::blas

#if defined(FASTNTK_EMULATE_CUDA)
namespace fastntk::emulation {
/// The emulated function of that name, or null.
void* blas_symbol(const char* name);
}  // namespace fastntk::emulation
#endif
