// What the backend uses of cuBLAS and cuSOLVER, on the host: column-major, queued in the handle's stream. As there, a call
// that runs uses the workspace, which it fills with garbage here.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../blas_symbols.cuh"
#include "runtime.hpp"

namespace fastntk::emulation {
namespace {

using namespace fastntk::cuda::blas;
using std::int64_t;

constexpr int invalid_value[] = {7, 3};  // cuBLAS, cuSOLVER
constexpr int execution_failed[] = {13, 6};

struct State {
  int library;
  int device;
  cudaStream_t stream = nullptr;
  void* work = nullptr;
  std::size_t work_bytes = 0;
};

State& state(Handle handle) { return *static_cast<State*>(handle); }

int create(int library, Handle* handle) {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return not_initialized;
  *handle = new State{library, device};
  return success;
}

template <class Work>
int queue(Handle handle, const char* call, Work&& work) {
  const State& s = state(handle);
  int device = -1;
  cudaGetDevice(&device);
  if (device != s.device) return invalid_value[s.library];
  const auto run = [garbage = s.work, bytes = s.work_bytes, work] {
    if (garbage) std::memset(garbage, 0x7f, std::min<std::size_t>(bytes, 1 << 16));
    work();
  };
  return enqueue(call, s.stream, run) == cudaSuccess ? success : execution_failed[s.library];
}

/// A column-major matrix, transposed if `op` says so.
template <class T>
struct Operand {
  const T* data;
  int64_t stride;
  bool transposed;
  Operand(const T* d, int64_t ld, int op) : data(d), stride(ld), transposed(op == operation_transpose) {}
  T operator()(int64_t i, int64_t j) const { return transposed ? data[j + i * stride] : data[i + j * stride]; }
  /// The columns one after another, `rows` elements each.
  std::vector<T> packed(int64_t rows, int64_t cols) const {
    std::vector<T> out(static_cast<std::size_t>(rows * cols));
    for (int64_t j = 0; j < cols; ++j)
      for (int64_t i = 0; i < rows; ++i) out[static_cast<std::size_t>(i + j * rows)] = (*this)(i, j);
    return out;
  }
};

// c[first(j) .. last(j)][j] = alpha a b + beta c: columns are sums of columns, which compilers vectorise.
template <class T, class First, class Last>
void multiply(int64_t m, int64_t n, int64_t k, T alpha, const Operand<T>& a, const Operand<T>& b, T beta, T* c, int64_t ldc,
              First first, Last last) {
  const std::vector<T> columns = a.packed(m, k);
  std::vector<T> sum(static_cast<std::size_t>(m));
  for (int64_t j = 0; j < n; ++j) {
    std::fill(sum.begin(), sum.end(), T(0));
    for (int64_t p = 0; p < k; ++p) {
      const T factor = b(p, j);
      const T* const column = columns.data() + p * m;
      for (int64_t i = 0; i < m; ++i) sum[static_cast<std::size_t>(i)] += column[i] * factor;
    }
    for (int64_t i = first(j); i < last(j); ++i) {
      T& out = c[i + j * ldc];
      out = alpha * sum[static_cast<std::size_t>(i)] + (beta == 0 ? T(0) : beta * out);
    }
  }
}

template <class T>
int gemm(Handle handle, int op_a, int op_b, int64_t m, int64_t n, int64_t k, const T* alpha, const T* a, int64_t lda,
         const T* b, int64_t ldb, const T* beta, T* c, int64_t ldc) {
  if (m < 0 || n < 0 || k < 0 || lda < std::max<int64_t>(1, op_a == operation_none ? m : k) ||
      ldb < std::max<int64_t>(1, op_b == operation_none ? k : n) || ldc < std::max<int64_t>(1, m))
    return invalid_value[0];
  return queue(handle, "gemm", [=, alpha = *alpha, beta = *beta] {
    multiply(
        m, n, k, alpha, Operand<T>(a, lda, op_a), Operand<T>(b, ldb, op_b), beta, c, ldc, [](int64_t) { return int64_t{0}; },
        [=](int64_t) { return m; });
  });
}

template <class T>
int gemm_batched(Handle handle, int op_a, int op_b, int64_t m, int64_t n, int64_t k, const T* alpha, const T* const* a,
                 int64_t lda, const T* const* b, int64_t ldb, const T* beta, T* const* c, int64_t ldc, int64_t count) {
  if (m < 0 || n < 0 || k < 0 || count < 0 || lda < std::max<int64_t>(1, op_a == operation_none ? m : k) ||
      ldb < std::max<int64_t>(1, op_b == operation_none ? k : n) || ldc < std::max<int64_t>(1, m))
    return invalid_value[0];
  return queue(handle, "gemm", [=, alpha = *alpha, beta = *beta] {
    for (int64_t e = 0; e < count; ++e) {
      multiply(
          m, n, k, alpha, Operand<T>(a[e], lda, op_a), Operand<T>(b[e], ldb, op_b), beta, c[e], ldc,
          [](int64_t) { return int64_t{0}; }, [=](int64_t) { return m; });
    }
  });
}

template <class T>
int syrk(Handle handle, int uplo, int op_a, int64_t n, int64_t k, const T* alpha, const T* a, int64_t lda, const T* beta,
         T* c, int64_t ldc) {
  if (n < 0 || k < 0 || lda < std::max<int64_t>(1, op_a == operation_none ? n : k) || ldc < std::max<int64_t>(1, n))
    return invalid_value[0];
  return queue(handle, "syrk", [=, alpha = *alpha, beta = *beta] {
    const int opposite = op_a == operation_none ? operation_transpose : operation_none;
    multiply(
        n, n, k, alpha, Operand<T>(a, lda, op_a), Operand<T>(a, lda, opposite), beta, c, ldc,
        [=](int64_t j) { return uplo == lower ? j : 0; }, [=](int64_t j) { return uplo == lower ? n : j + 1; });
  });
}

template <class T>
int trsm(Handle handle, int side, int uplo, int op_a, int diag, int64_t m, int64_t n, const T* alpha, const T* a,
         int64_t lda, T* b, int64_t ldb) {
  const int64_t order = side == left ? m : n;
  if (m < 0 || n < 0 || lda < std::max<int64_t>(1, order) || ldb < std::max<int64_t>(1, m) || diag != non_unit)
    return invalid_value[0];
  return queue(handle, "trsm", [=, alpha = *alpha] {
    const std::vector<T> matrix = Operand<T>(a, lda, op_a).packed(order, order);
    // After op(), and from the right by the transpose: whether the first unknown stands alone.
    const bool is_lower = (uplo == lower) == (op_a == operation_none);
    const bool forward = side == left ? is_lower : !is_lower;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) b[i + j * ldb] *= alpha;
    for (int64_t step = 0; step < order; ++step) {
      const int64_t p = forward ? step : order - 1 - step;
      const T pivot = matrix[static_cast<std::size_t>(p + p * order)];
      const int64_t begin = forward ? p + 1 : 0, end = forward ? order : p;
      if (side == left) {
        const T* const column = matrix.data() + p * order;
        for (int64_t j = 0; j < n; ++j) {
          T* const x = b + j * ldb;
          x[p] /= pivot;
          for (int64_t i = begin; i < end; ++i) x[i] -= column[i] * x[p];
        }
      } else {
        T* const x = b + p * ldb;
        for (int64_t i = 0; i < m; ++i) x[i] /= pivot;
        for (int64_t j = begin; j < end; ++j) {
          const T factor = matrix[static_cast<std::size_t>(p + j * order)];
          for (int64_t i = 0; i < m; ++i) b[i + j * ldb] -= x[i] * factor;
        }
      }
    }
  });
}

// a = u^T u in the upper triangle: row k of u from the rows above it. The number of the first minor that is not positive.
template <class T>
int cholesky(int64_t n, T* a, int64_t lda) {
  for (int64_t j = 0; j < n; ++j) {
    T* const column = a + j * lda;
    for (int64_t i = 0; i <= j; ++i) {
      const T* const above = a + i * lda;
      T sum = column[i];
      for (int64_t p = 0; p < i; ++p) sum -= above[p] * column[p];
      if (i < j) {
        column[i] = sum / above[i];
      } else {
        if (!(sum > 0)) return static_cast<int>(j + 1);
        column[i] = std::sqrt(sum);
      }
    }
  }
  return 0;
}

int potrf_work(Handle, Handle, int uplo, int64_t n, int type, const void*, int64_t lda, int compute_type,
               std::size_t* device_bytes, std::size_t* host_bytes) {
  if (uplo != upper || type != compute_type || lda < std::max<int64_t>(1, n)) return invalid_value[1];
  *device_bytes = static_cast<std::size_t>(n) * 64 + 8;
  *host_bytes = 0;
  return success;
}

int potrf(Handle handle, Handle params, int uplo, int64_t n, int type, void* a, int64_t lda, int compute_type, void* work,
          std::size_t work_bytes, void* host_work, std::size_t host_bytes, int* info) {
  std::size_t needed = 0, host_needed = 0;
  const int status = potrf_work(handle, params, uplo, n, type, a, lda, compute_type, &needed, &host_needed);
  if (status != success) return status;
  if (work_bytes < needed || host_bytes < host_needed || (host_needed && !host_work)) return invalid_value[1];
  return queue(handle, "potrf", [=] {
    std::memset(work, 0x7f, needed);
    *info = type == data_type<float> ? cholesky(n, static_cast<float*>(a), lda) : cholesky(n, static_cast<double*>(a), lda);
  });
}

int set_stream(Handle handle, cudaStream_t stream) {
  state(handle).stream = stream;
  state(handle).work = nullptr;
  return success;
}

int set_workspace(Handle handle, void* work, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(work) % 256 != 0) return invalid_value[0];
  state(handle).work = work;
  state(handle).work_bytes = bytes;
  return success;
}

int property(int, int* value) {
  *value = 0;
  return success;
}

template <class T>
void fill(Routines<T>& routines) {
  routines.gemm = gemm<T>;
  routines.gemm_batched = gemm_batched<T>;
  routines.syrk = syrk<T>;
  routines.trsm = trsm<T>;
}

}  // namespace

void* blas_symbol(const char* name) {
  static const std::map<std::string, void*> symbols = [] {
    std::map<std::string, void*> known;
    const auto add = [&](auto* function, const char* symbol) { known[symbol] = reinterpret_cast<void*>(function); };
    Cublas cublas{};
    cublas.create = [](Handle* handle) { return create(0, handle); };
    cublas.set_stream = set_stream;
    cublas.set_workspace = set_workspace;
    cublas.set_math_mode = [](Handle, int) { return success; };
    cublas.property = property;
    fill(cublas.single);
    fill(cublas.twice);
    for_each_symbol(cublas, add);
    Cusolver cusolver{};
    cusolver.create = [](Handle* handle) { return create(1, handle); };
    cusolver.create_params = [](Handle* handle) { return create(1, handle); };
    cusolver.set_stream = set_stream;
    cusolver.property = property;
    cusolver.potrf_work = potrf_work;
    cusolver.potrf = potrf;
    for_each_symbol(cusolver, add);
    return known;
  }();
  const auto found = symbols.find(name);
  return found == symbols.end() ? nullptr : found->second;
}

}  // namespace fastntk::emulation
