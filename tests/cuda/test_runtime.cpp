// Errors of the CUDA runtime, workspace and its limits, and work from several threads, on the emulated devices.
#include <fastntk/error.hpp>

#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "../../csrc/cuda/blas.cuh"
#include "../../csrc/cuda/for_each.cuh"
#include "../../csrc/cuda/runtime.cuh"
#include "../../csrc/cuda/workspace.cuh"
#include "../../csrc/src/tiling.hpp"
#include "device.hpp"

namespace {

using device::Faults;
using fastntk::BackendError;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::OutOfMemory;
using fastntk::RowRange;
using fastntk::Tile;
using fastntk::View;
using sketches::Matrix;
namespace emulation = fastntk::emulation;
namespace cuda = fastntk::cuda;

constexpr std::size_t megabyte = std::size_t{1} << 20;

TEST(errors_say_what_helps) {
  const Faults clear;
  const auto says = [](cudaError_t error, const char* part) {
    emulation::inject_fault("cudaGetDevice", error);
    const bool found = check::throws<BackendError>([] { const cuda::DeviceGuard guard(0); }, part);
    CHECK(cudaGetLastError() == cudaSuccess);
    return found;
  };
  CHECK(says(cudaErrorNoDevice, "CUDA_VISIBLE_DEVICES"));
  CHECK(says(cudaErrorDevicesUnavailable, "busy or in exclusive use"));
  CHECK(says(cudaErrorInitializationError, "forked"));
  CHECK(says(cudaErrorNoKernelImageForDevice, "compute capability 8.0"));
  CHECK(says(cudaErrorSystemDriverMismatch, "different versions"));
  CHECK(says(cudaErrorIllegalAddress, "broke this process's CUDA context"));
  CHECK(says(cudaErrorLaunchFailure, "started anew"));
  CHECK(says(cudaErrorInsufficientDriver, "the driver, for CUDA 12.2, is too old; this build needs one for CUDA 13.0"));
  emulation::inject_fault("cudaDriverGetVersion", cudaErrorInsufficientDriver);
  CHECK(says(cudaErrorInsufficientDriver, "there is no NVIDIA driver"));
}

TEST(a_device_that_does_not_exist_is_named) {
  const auto use = [](int device) { return [=] { Buffer<float, Cuda>(Cuda{.device = device}, 4); }; };
  CHECK(check::throws<BackendError>(use(3), "choosing device 3"));
  CHECK(check::throws<BackendError>(use(3), "devices 0 to 1 exist"));
  CHECK(check::throws<BackendError>(use(-1), "choosing device -1"));
  int current = -1;
  CHECK(cudaGetDevice(&current) == cudaSuccess && current == 0);
}

TEST(config_tells_the_state_of_cuda) {
  const Faults clear;
  CHECK(fastntk::config().cuda_status == "ready");
  CHECK(fastntk::config().cuda_devices == std::vector<std::string>(2, "emulated on the host"));
  CHECK(fastntk::config().cuda_libraries.find("cuBLAS") != std::string::npos);
  emulation::inject_fault("cudaGetDeviceCount", cudaErrorNoDevice);
  CHECK(fastntk::config().cuda_status == "built, no device");
  emulation::inject_fault("cudaGetDeviceCount", cudaErrorInsufficientDriver);
  CHECK(fastntk::config().cuda_status == "built, driver too old");
  emulation::inject_fault("cudaGetDeviceCount", cudaErrorInsufficientDriver);
  emulation::inject_fault("cudaDriverGetVersion", cudaErrorInsufficientDriver);
  CHECK(fastntk::config().cuda_status == "built, no driver");
  CHECK(cudaGetLastError() == cudaSuccess);
}

// Rows are doubled through scratch memory, tile by tile.
void double_rows(const Cuda& backend, View<const float, Cuda> in, View<float, Cuda> out) {
  const std::size_t cols = in.cols;
  fastntk::for_tiles<Cuda>(
      backend, in.rows, fastntk::rows_per_tile<float>(backend, 2 * cols), [&](Tile<Cuda>& tile, RowRange rows) {
        const View<float, Cuda> sum = tile.scratch<float>(rows.count, cols);
        const View<const float, Cuda> from = in.row_block(rows.begin, rows.count);
        const View<float, Cuda> to = out.row_block(rows.begin, rows.count);
        fastntk::for_each(tile, rows.count * cols,
                          [=] FASTNTK_FORMULA(std::size_t i) { sum(i / cols, i % cols) = 2 * from(i / cols, i % cols); });
        fastntk::for_each(tile, rows.count * cols,
                          [=] FASTNTK_FORMULA(std::size_t i) { to(i / cols, i % cols) = sum(i / cols, i % cols); });
      });
}

bool doubles(const Cuda& backend, const Matrix<float>& x) {
  const device::DeviceMatrix<float> in(x, 0, backend);
  device::DeviceMatrix<float> out(x.rows, x.cols, 0, backend);
  double_rows(backend, in.view(), out.view());
  const Matrix<float> found = out.to_host();
  for (std::size_t i = 0; i < x.values.size(); ++i)
    if (found.values[i] != 2 * x.values[i]) return false;
  return true;
}

TEST(less_memory_makes_smaller_tiles) {
  const Matrix<float> x = sketches::random_rows<float>(200, 300);
  std::size_t before = 1000;
  for (const std::size_t memory : {std::size_t{0}, megabyte, megabyte / 4, megabyte / 64}) {
    const Cuda backend{.max_memory = memory};
    const std::size_t rows = fastntk::rows_per_tile<float>(backend, 2 * x.cols);
    CHECK(rows < before);
    before = rows;
    CHECK(doubles(backend, x));
  }
}

TEST(a_row_that_max_memory_does_not_hold_is_refused) {
  const Matrix<float> x = sketches::random_rows<float>(3, 300);
  const std::size_t in_use = emulation::memory_in_use();
  const auto with = [&](std::size_t memory) { return [=, &x] { doubles({.max_memory = memory}, x); }; };
  CHECK(check::throws<OutOfMemory>(with(1000), "1216 bytes of workspace are needed on device 0"));
  CHECK(check::throws<OutOfMemory>(with(1000), "max_memory is 1000 bytes, raise it"));
  CHECK(emulation::memory_in_use() == in_use);
  CHECK(doubles({}, x));
}

TEST(a_tile_never_takes_more_than_max_memory) {
  const Cuda backend{.max_memory = 4 * megabyte};
  const std::size_t before = emulation::memory_in_use();
  {
    Tile<Cuda> tile(backend);
    std::size_t taken = 0;
    for (const std::size_t bytes : {megabyte / 2, megabyte, megabyte / 4 + 1, megabyte}) {
      tile.allocate(bytes);
      taken += bytes;
      const std::size_t now = emulation::memory_in_use() - before;
      CHECK(now >= taken && now <= backend.max_memory);
    }
    CHECK(check::throws<OutOfMemory>([&] { tile.allocate(4 * megabyte); }, "in use"));
    tile.allocate(megabyte / 8);
  }
  cudaDeviceSynchronize();
  CHECK(emulation::memory_in_use() == before);
}

TEST(memory_that_the_pool_keeps_is_given_back_when_it_is_needed) {
  const Faults clear;
  emulation::limit_memory(64 * megabyte);
  {
    const cuda::Workspace workspace(Cuda(), 48 * megabyte);
  }
  // The pool holds 48 of 64 MiB.
  {
    const Buffer<std::byte, Cuda> buffer(Cuda(), 40 * megabyte);
  }
  {
    const cuda::Workspace workspace(Cuda(), 60 * megabyte);
  }

  const cuda::Workspace held(Cuda(), 30 * megabyte);
  const auto take = [] { Buffer<std::byte, Cuda>(Cuda(), 40 * megabyte); };
  CHECK(check::throws<OutOfMemory>(take, "41 MB are needed on device 0; 35 MB of its 67 MB are free"));
  CHECK(check::throws<OutOfMemory>(take, "or free memory of the device"));
  const auto work = [] { const cuda::Workspace workspace({.max_memory = 50 * megabyte}, 40 * megabyte); };
  CHECK(check::throws<OutOfMemory>(work, "lower max_memory (now 52428800 bytes)"));
  CHECK(cudaGetLastError() == cudaSuccess);
  const Buffer<std::byte, Cuda> fits(Cuda(), 30 * megabyte);
}

TEST(a_tile_makes_do_with_the_memory_that_is_there) {
  const Faults clear;
  cuda::trim_workspace(0);
  emulation::limit_memory(6 * megabyte);
  Tile<Cuda> tile((Cuda{.max_memory = 64 * megabyte}));
  tile.allocate(3 * megabyte);
  tile.allocate(2 * megabyte);  // the arena would like 3 more
  CHECK(check::throws<OutOfMemory>([&] { tile.allocate(4 * megabyte); }, "are free"));
}

TEST(no_failure_is_dropped) {
  const Matrix<float> x = sketches::random_rows<float>(20, 33);
  device::fail_every_call([&] { CHECK(doubles({.max_memory = 4096}, x)); });
  device::fail_every_call([] {
    Buffer<float, Cuda> a(Cuda(), std::vector<float>{4});
    Buffer<int, Cuda> info(Cuda(), 1);
    const std::size_t size = cuda::blas::potrf_work<float>(Cuda(), 1, 1);
    Buffer<float, Cuda> work(Cuda(), size);
    cuda::blas::potrf<float>(Cuda(), 1, a.data(), 1, work.data(), size, info.data());
    cuda::blas::gemm<float>(Cuda(), cuda::blas::Transpose::no, cuda::blas::Transpose::no, 1, 1, 1, 1, a.data(), 1, a.data(),
                            1, 0, work.data(), 1);
    CHECK(work.to_host()[0] == 4 && info.to_host()[0] == 0);
  });
}

TEST(a_driver_without_pools_works_too) {
  const Cuda second{.device = 1};
  // Device 1 has not been asked before.
  emulation::set_pools(false);
  const Matrix<float> x = sketches::random_rows<float>(5, 40);
  CHECK(doubles(second, x));
  emulation::set_pools(true);
}

TEST(threads_work_on_streams_of_their_own) {
  constexpr std::size_t count = 4;
  std::vector<int> right(count);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      cudaStream_t stream = nullptr;
      if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return;
      const Cuda backend{.stream = stream, .max_memory = megabyte};
      const Matrix<float> x = sketches::random_rows<float>(16, 16, t);
      const device::DeviceMatrix<float> a(x, 0, backend);
      device::DeviceMatrix<float> b(16, 16, 0, backend);
      for (int repeat = 0; repeat < 20; ++repeat) {
        cuda::blas::gemm<float>(backend, cuda::blas::Transpose::no, cuda::blas::Transpose::no, 16, 16, 16, 1, a.view().data,
                                16, a.view().data, 16, 0, b.view().data, 16);
        double expected = 0;
        for (std::size_t p = 0; p < 16; ++p) expected += static_cast<double>(x(2, p)) * static_cast<double>(x(p, 3));
        // 16 products of numbers below 1.
        right[t] += std::abs(static_cast<double>(b.to_host()(2, 3)) - expected) < 16 * 16 * 6e-8 && doubles(backend, x);
      }
      cudaStreamDestroy(stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int n : right) CHECK(n == 20);
}

TEST(launches_that_cannot_be_are_refused) {
  Tile<Cuda> tile{Cuda()};
  CHECK(check::throws<fastntk::Error>(
      [&] { cuda::launch(Cuda(), {std::size_t{1} << 31, 32}, cuda::for_each_kernel<void (*)(std::size_t)>, 1, nullptr); },
      "too large"));
  fastntk::for_each(tile, 0, [=] FASTNTK_FORMULA(std::size_t) {});
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
