#include "blas.cuh"

#include <fastntk/error.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "blas_symbols.cuh"
#include "library.cuh"
#include "pinned.cuh"
#include "runtime.cuh"
#include "workspace.cuh"

// The libraries are column-major: they see the transpose of a row-major matrix, of the same leading dimension. So
// c = op(a) op(b) is asked for as c^T = op(b)^T op(a)^T: operands swap, flags stay. A lower triangle is their upper one, a
// left side their right one; a symmetric product takes the other flag.
namespace fastntk::cuda::blas {
namespace {

const LibrarySearch cublas_search{
    "cuBLAS", "FASTNTK_CUBLAS", {"libcublas.so.13", "libcublas.so.12"}, {"nvidia/cu13/lib", "nvidia/cublas/lib"}};
const LibrarySearch cusolver_search{
    "cuSOLVER", "FASTNTK_CUSOLVER", {"libcusolver.so.12", "libcusolver.so.11"}, {"nvidia/cu13/lib", "nvidia/cusolver/lib"}};

template <class Table>
struct Loaded {
  Table table{};
  std::string place;
};

template <class Table>
Loaded<Table> load([[maybe_unused]] const LibrarySearch& search) {
  Loaded<Table> loaded;
#if defined(FASTNTK_EMULATE_CUDA)
  loaded.place = "emulated on the host";
  const auto find = [](const char* name) { return emulation::blas_symbol(name); };
#else
  void* const library = open_library(search, &loaded.place);
  const auto find = [&](const char* name) { return symbol(library, search, name); };
#endif
  for_each_symbol(loaded.table,
                  [&]<class F>(F*& function, const char* name) { function = reinterpret_cast<F*>(find(name)); });
  return loaded;
}

// Loaded at the first call that succeeds; a failed one may be repeated.
const Loaded<Cublas>& cublas() {
  static const Loaded<Cublas> loaded = load<Cublas>(cublas_search);
  return loaded;
}

const Loaded<Cusolver>& cusolver() {
  // cuSOLVER needs cuBLAS and finds the copy that is loaded.
  static const Loaded<Cusolver> loaded = (cublas(), load<Cusolver>(cusolver_search));
  return loaded;
}

void check_status(int status, int out_of_memory, const char* what) {
  if (status == success) return;
  const std::string text = std::string("CUDA: ") + what + " failed with status " + std::to_string(status);
  // A kernel that failed before is often what the library stumbles over.
  check(cudaGetLastError(), what);
  if (status == out_of_memory) throw OutOfMemory(text + ": not enough device memory");
  if (status == not_initialized)
    throw BackendError(text + ": the library could not be initialised; is the device out of memory, or the driver too old?");
  throw BackendError(text);
}
void check_cublas(int status, const char* what) { check_status(status, allocation_failed[0], what); }
void check_cusolver(int status, const char* what) { check_status(status, allocation_failed[1], what); }

// Handles of one library, per device. Making one takes long, and only one thread may use it at a time. They are not
// destroyed: at the end of the process the driver may be gone before.
template <class Value>
class Pool {
 public:
  template <class Make>
  Value take(int device, Make&& make) {
    {
      const std::lock_guard lock(mutex_);
      std::vector<Value>& free = free_[device];
      if (!free.empty()) {
        const Value value = free.back();
        free.pop_back();
        return value;
      }
      free.reserve(++made_[device]);  // so that giving back never throws
    }
    return make();
  }
  void give_back(int device, Value value) noexcept {
    const std::lock_guard lock(mutex_);
    free_[device].push_back(value);
  }

 private:
  std::mutex mutex_;
  std::map<int, std::vector<Value>> free_;
  std::map<int, std::size_t> made_;
};

template <class Value>
class Lease {
 public:
  template <class Make>
  Lease(int device, Make&& make) : device_(device), value_(pool().take(device, make)) {}
  ~Lease() { pool().give_back(device_, value_); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  const Value* operator->() const { return &value_; }

 private:
  static Pool<Value>& pool() {
    static Pool<Value>& pool = *new Pool<Value>;
    return pool;
  }
  int device_;
  Value value_;
};

struct CublasHandle {
  Handle handle;
};
// Its scratch memory is its own, unlike that of cuBLAS here: work of its next stream waits for that of the last one.
struct CusolverHandle {
  Handle handle, params;
  Event* done;
};

// What NVIDIA recommends. It is the same for every call, and so does not change which algorithm the library takes.
std::size_t workspace_bytes(int device) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "asking a device for its capability");
  return std::size_t{major >= 9 ? 32u : 4u} << 20;
}

}  // namespace

// A handle that works on the backend's stream. Its workspace is the stream's too: one that belonged to the handle could be
// in use by another stream still.
struct Session::State {
  explicit State(const Cuda& to)
      : backend(to),
        api(cublas().table),
        lease(backend.device,
              [this] {
                const DeviceGuard current(backend.device);
                CublasHandle made{};
                check_cublas(api.create(&made.handle), "starting cuBLAS");
                check_cublas(api.set_math_mode(made.handle, default_math), "starting cuBLAS");
                return made;
              }),
        work(backend, workspace_bytes(backend.device)) {
    const DeviceGuard current(backend.device);
    // In this order: a new stream takes the workspace away.
    check_cublas(api.set_stream(lease->handle, backend.stream), "choosing a stream");
    check_cublas(api.set_workspace(lease->handle, work.data(), work.size()), "giving cuBLAS a workspace");
  }

  Cuda backend;
  const Cublas& api;
  Lease<CublasHandle> lease;
  Workspace work;
  State* outer = nullptr;
};

namespace {

// Of this thread, the last one first.
thread_local Session::State* sessions = nullptr;

// Calls call(api, handle) with a handle that works on the backend's stream.
template <class Call>
void with_cublas(const Cuda& backend, const char* what, Call&& call) {
  Session::State* session = sessions;
  while (session && (session->backend.device != backend.device || session->backend.stream != backend.stream))
    session = session->outer;
  std::optional<Session::State> own;
  if (!session) session = &own.emplace(backend);
  const DeviceGuard current(backend.device);
  check_cublas(call(session->api, session->lease->handle), what);
}

template <class Call>
void with_cusolver(const Cuda& backend, const char* what, Call&& call) {
  const Cusolver& api = cusolver().table;
  const DeviceGuard current(backend.device);
  const Lease<CusolverHandle> lease(backend.device, [&] {
    CusolverHandle made{};
    check_cusolver(api.create(&made.handle), "starting cuSOLVER");
    check_cusolver(api.create_params(&made.params), "starting cuSOLVER");
    made.done = new Event;
    return made;
  });
  lease->done->delay(backend.stream);
  check_cusolver(api.set_stream(lease->handle, backend.stream), what);
  check_cusolver(call(api, *lease.operator->()), what);
  lease->done->record(backend.stream);
}

template <Real T>
const Routines<T>& routines(const Cublas& api) {
  if constexpr (sizeof(T) == 4) {
    return api.single;
  } else {
    return api.twice;
  }
}

int flag(Transpose op) { return op == Transpose::yes ? operation_transpose : operation_none; }
int opposite(Transpose op) { return op == Transpose::yes ? operation_none : operation_transpose; }
std::int64_t size(std::size_t value) { return static_cast<std::int64_t>(value); }
// A matrix without columns may have stride 0; the libraries want 1.
std::int64_t stride(std::size_t value) { return static_cast<std::int64_t>(std::max<std::size_t>(value, 1)); }

template <class Table>
std::string describe(const LibrarySearch& search, const Loaded<Table>& (*load)()) {
  try {
    const Loaded<Table>& loaded = load();
    std::string version;
    for (int part = 0; part < 3; ++part) {
      int value = 0;
      loaded.table.property(part, &value);
      if (part > 0) version += '.';
      version += std::to_string(value);
    }
    return search.title + " " + version + " (" + loaded.place + ")";
  } catch (const BackendError&) {
    return search.title + " not found (pip install fastntk[cuda])";
  }
}

}  // namespace

Session::Session(const Cuda& backend) : state_(std::make_unique<State>(backend)) {
  state_->outer = std::exchange(sessions, state_.get());
}
Session::~Session() { sessions = state_->outer; }

template <Real T>
void gemm(const Cuda& backend, Transpose op_a, Transpose op_b, std::size_t m, std::size_t n, std::size_t k, T alpha,
          const T* a, std::size_t lda, const T* b, std::size_t ldb, T beta, T* c, std::size_t ldc) {
  if (m == 0 || n == 0) return;
  with_cublas(backend, "a product of matrices", [&](const Cublas& api, Handle handle) {
    return routines<T>(api).gemm(handle, flag(op_b), flag(op_a), size(n), size(m), size(k), &alpha, b, stride(ldb), a,
                                 stride(lda), &beta, c, stride(ldc));
  });
}

template <Real T>
void gemm_batched(const Cuda& backend, Transpose op_a, Transpose op_b, std::size_t m, std::size_t n, std::size_t k, T alpha,
                  const T* const* a, std::size_t lda, const T* const* b, std::size_t ldb, T beta, T* const* c,
                  std::size_t ldc, std::size_t count) {
  if (m == 0 || n == 0 || count == 0) return;
  with_cublas(backend, "products of matrices", [&](const Cublas& api, Handle handle) {
    return routines<T>(api).gemm_batched(handle, flag(op_b), flag(op_a), size(n), size(m), size(k), &alpha, b, stride(ldb),
                                         a, stride(lda), &beta, c, stride(ldc), size(count));
  });
}

template <Real T>
void syrk(const Cuda& backend, Transpose op_a, std::size_t n, std::size_t k, T alpha, const T* a, std::size_t lda, T beta,
          T* c, std::size_t ldc) {
  if (n == 0) return;
  with_cublas(backend, "a Gram product", [&](const Cublas& api, Handle handle) {
    return routines<T>(api).syrk(handle, upper, opposite(op_a), size(n), size(k), &alpha, a, stride(lda), &beta, c,
                                 stride(ldc));
  });
}

template <Real T>
void trsm(const Cuda& backend, Side side, Transpose op_l, std::size_t m, std::size_t n, const T* l, std::size_t ldl, T* b,
          std::size_t ldb) {
  if (m == 0 || n == 0) return;
  const T one = 1;
  with_cublas(backend, "a triangular solve", [&](const Cublas& api, Handle handle) {
    return routines<T>(api).trsm(handle, side == Side::left ? right : left, upper, flag(op_l), non_unit, size(n), size(m),
                                 &one, l, stride(ldl), b, stride(ldb));
  });
}

template <Real T>
std::size_t potrf_work(const Cuda& backend, std::size_t n, std::size_t lda) {
  std::size_t device_bytes = 0, host_bytes = 0;
  with_cusolver(backend, "planning a Cholesky factorisation", [&](const Cusolver& api, const CusolverHandle& h) {
    return api.potrf_work(h.handle, h.params, upper, size(n), data_type<T>, nullptr, stride(lda), data_type<T>,
                          &device_bytes, &host_bytes);
  });
  return (device_bytes + sizeof(T) - 1) / sizeof(T);
}

template <Real T>
void potrf(const Cuda& backend, std::size_t n, T* a, std::size_t lda, T* work, std::size_t work_size, int* info) {
  std::vector<std::byte> host_work;
  with_cusolver(backend, "a Cholesky factorisation", [&](const Cusolver& api, const CusolverHandle& h) {
    std::size_t device_bytes = 0, host_bytes = 0;
    const int status = api.potrf_work(h.handle, h.params, upper, size(n), data_type<T>, a, stride(lda), data_type<T>,
                                      &device_bytes, &host_bytes);
    if (status != success) return status;
    require(device_bytes <= work_size * sizeof(T), [&] {
      return "potrf: work has " + std::to_string(work_size * sizeof(T)) + " bytes; " + std::to_string(device_bytes) +
             " are needed";
    });
    host_work.resize(host_bytes);
    return api.potrf(h.handle, h.params, upper, size(n), data_type<T>, a, stride(lda), data_type<T>, work,
                     work_size * sizeof(T), host_work.data(), host_bytes, info);
  });
  if (!host_work.empty()) {
    const DeviceGuard current(backend.device);
    check(cudaStreamSynchronize(backend.stream), "a Cholesky factorisation");
  }
}

std::string description() { return describe(cublas_search, &cublas) + ", " + describe(cusolver_search, &cusolver); }

#define FASTNTK_INSTANTIATE(T)                                                                                             \
  template void gemm(const Cuda&, Transpose, Transpose, std::size_t, std::size_t, std::size_t, T, const T*, std::size_t,   \
                     const T*, std::size_t, T, T*, std::size_t);                                                           \
  template void gemm_batched(const Cuda&, Transpose, Transpose, std::size_t, std::size_t, std::size_t, T, const T* const*, \
                             std::size_t, const T* const*, std::size_t, T, T* const*, std::size_t, std::size_t);           \
  template void syrk(const Cuda&, Transpose, std::size_t, std::size_t, T, const T*, std::size_t, T, T*, std::size_t);      \
  template void trsm(const Cuda&, Side, Transpose, std::size_t, std::size_t, const T*, std::size_t, T*, std::size_t);      \
  template std::size_t potrf_work<T>(const Cuda&, std::size_t, std::size_t);                                               \
  template void potrf(const Cuda&, std::size_t, T*, std::size_t, T*, std::size_t, int*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk::cuda::blas

#if !defined(FASTNTK_EMULATE_CUDA) && __has_include(<cublas_v2.h>) && __has_include(<cusolverDn.h>)
// Where the libraries' own headers are at hand: they say the same.
#include <cublas_v2.h>
#include <cusolverDn.h>

#include <type_traits>

namespace fastntk::cuda::blas {
namespace {

template <class A, class B>
constexpr bool passed_alike = (std::is_pointer_v<A> && std::is_pointer_v<B>) ||
                              (!std::is_pointer_v<A> && !std::is_pointer_v<B> && sizeof(A) == sizeof(B));
template <class R, class... A, class S, class... B>
constexpr bool called_alike(R (*)(A...), S (*)(B...)) {
  if constexpr (sizeof...(A) != sizeof...(B)) {
    return false;
  } else {
    return (passed_alike<R, S> && ... && passed_alike<A, B>);
  }
}
#define FASTNTK_SAME(member, function) static_assert(called_alike(decltype(member){}, decltype(&function){}))
FASTNTK_SAME(Cublas::create, cublasCreate_v2);
FASTNTK_SAME(Cublas::set_stream, cublasSetStream_v2);
FASTNTK_SAME(Cublas::set_workspace, cublasSetWorkspace_v2);
FASTNTK_SAME(Cublas::set_math_mode, cublasSetMathMode);
FASTNTK_SAME(Cublas::property, cublasGetProperty);
FASTNTK_SAME(Routines<float>::gemm, cublasSgemm_v2_64);
FASTNTK_SAME(Routines<float>::gemm_batched, cublasSgemmBatched_64);
FASTNTK_SAME(Routines<float>::syrk, cublasSsyrk_v2_64);
FASTNTK_SAME(Routines<float>::trsm, cublasStrsm_v2_64);
FASTNTK_SAME(Routines<double>::gemm, cublasDgemm_v2_64);
FASTNTK_SAME(Routines<double>::gemm_batched, cublasDgemmBatched_64);
FASTNTK_SAME(Routines<double>::syrk, cublasDsyrk_v2_64);
FASTNTK_SAME(Routines<double>::trsm, cublasDtrsm_v2_64);
FASTNTK_SAME(Cusolver::create, cusolverDnCreate);
FASTNTK_SAME(Cusolver::create_params, cusolverDnCreateParams);
FASTNTK_SAME(Cusolver::set_stream, cusolverDnSetStream);
FASTNTK_SAME(Cusolver::property, cusolverGetProperty);
FASTNTK_SAME(Cusolver::potrf_work, cusolverDnXpotrf_bufferSize);
FASTNTK_SAME(Cusolver::potrf, cusolverDnXpotrf);
#undef FASTNTK_SAME
static_assert(success == CUBLAS_STATUS_SUCCESS && success == static_cast<int>(CUSOLVER_STATUS_SUCCESS));
static_assert(not_initialized == CUBLAS_STATUS_NOT_INITIALIZED);
static_assert(not_initialized == static_cast<int>(CUSOLVER_STATUS_NOT_INITIALIZED));
static_assert(allocation_failed[0] == CUBLAS_STATUS_ALLOC_FAILED);
static_assert(allocation_failed[1] == static_cast<int>(CUSOLVER_STATUS_ALLOC_FAILED));
static_assert(operation_none == CUBLAS_OP_N && operation_transpose == CUBLAS_OP_T);
static_assert(lower == CUBLAS_FILL_MODE_LOWER && upper == CUBLAS_FILL_MODE_UPPER);
static_assert(left == CUBLAS_SIDE_LEFT && right == CUBLAS_SIDE_RIGHT && non_unit == CUBLAS_DIAG_NON_UNIT);
static_assert(default_math == CUBLAS_DEFAULT_MATH);
static_assert(data_type<float> == CUDA_R_32F && data_type<double> == CUDA_R_64F);

}  // namespace
}  // namespace fastntk::cuda::blas
#endif
