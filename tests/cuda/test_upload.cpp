// Rows of the host in blocks through the device: the same as all at once, and every wait that it takes is there.
#include <fastntk/error.hpp>
#include <fastntk/srht.hpp>
#include <fastntk/upload.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "../../csrc/cuda/for_each.cuh"
#include "device.hpp"
#include "stream.hpp"

namespace {

using device::Faults;
using device::Stream;
using fastntk::Cuda;
using fastntk::Downloader;
using fastntk::Tile;
using fastntk::Uploader;
using fastntk::View;
using sketches::Matrix;
namespace emulation = fastntk::emulation;

constexpr std::size_t cols = 37;

// y = 2 x + (the first entry of x's row), on the backend's stream.
template <class T>
void apply(const Cuda& backend, View<const T, Cuda> x, View<T, Cuda> y) {
  Tile<Cuda> tile(backend);
  fastntk::for_each(tile, x.rows * cols, [=] FASTNTK_FORMULA(std::size_t i) {
    y(i / cols, i % cols) = 2 * x(i / cols, i % cols) + x(i / cols, 0);
  });
}

template <class T>
bool is_applied(const Matrix<T>& x, const Matrix<T>& y) {
  for (std::size_t r = 0; r < x.rows; ++r)
    for (std::size_t j = 0; j < cols; ++j)
      if (y(r, j) != 2 * x(r, j) + x(r, 0)) return false;
  return true;
}

template <class T>
void check_blocks(const Cuda& backend, std::size_t rows) {
  const Matrix<T> x = sketches::random_rows<T>(rows, cols);
  Matrix<T> y(rows, cols);
  fastntk::apply_to_host_rows<T>(backend, x.view(), y.view(),
                                 [&](View<const T, Cuda> in, View<T, Cuda> out) { apply(backend, in, out); });
  CHECK(is_applied(x, y));
}

TEST(blocks_give_what_all_rows_give) {
  const Stream own;
  for (const std::size_t memory : {std::size_t{0}, std::size_t{1} << 16, std::size_t{1}}) {
    for (const std::size_t rows : {0, 1, 2, 27, 28, 29, 200}) {
      check_blocks<float>({.max_memory = memory < 16 ? 0 : memory}, rows);
      check_blocks<double>({.stream = own.stream(), .max_memory = memory < 16 ? 0 : memory}, rows);
    }
  }
  check_blocks<float>({.device = 1, .max_memory = 1 << 16}, 100);
  int current = -1;
  CHECK(cudaGetDevice(&current) == cudaSuccess && current == 0);
}

TEST(blocks_are_bounded_by_max_memory) {
  CHECK(fastntk::block_rows<float>({.max_memory = 16 * 1000}, 100, 50) == 5);
  CHECK(fastntk::block_rows<double>({.max_memory = 16 * 1000}, 100, 50) == 2);
  CHECK(fastntk::block_rows<float>({.max_memory = 16}, 100, 50) == 1);
  CHECK(fastntk::block_rows<float>({.max_memory = 16 * 1000}, 3, 50) == 3);
  CHECK(fastntk::block_rows<float>({}, 0, 0) == 1);
  CHECK(fastntk::block_rows<float>({}, std::size_t{1} << 40, 1024) == 32 << 8);
}

TEST(an_operator_of_host_rows_gives_its_bits) {
  const fastntk::Srht<float, Cuda> srht({.in_features = 100, .out_features = 60, .seed = 3});
  const Matrix<float> x = sketches::random_rows<float>(50, 100);
  const device::DeviceMatrix<float> in(x);
  device::DeviceMatrix<float> out(50, 60);
  srht(in.view(), out.view());
  const Stream own;
  const Cuda small{.stream = own.stream(), .max_memory = 1 << 16};
  Matrix<float> blocks(50, 60);
  const fastntk::Srht<float, Cuda> on_stream = srht.on(small);
  fastntk::apply_to_host_rows<float>(small, x.view(), blocks.view(), on_stream);
  CHECK(blocks == out.to_host());
}

TEST(rows_may_be_strided_and_changed_after_the_call) {
  const Stream own;
  const Cuda backend{.stream = own.stream()};
  Uploader<float> up(backend, 4, cols);
  std::vector<Matrix<float>> sums;
  std::vector<device::DeviceMatrix<float>> results;
  Matrix<float> wide(4, cols + 5);
  for (int block = 0; block < 7; ++block) {
    for (float& value : wide.values) value = static_cast<float>(block);
    const View<const float> rows{wide.values.data() + 2, 4, cols, cols + 5};
    const View<const float, Cuda> x = up(rows);
    results.emplace_back(4, cols, 0, backend);
    apply(backend, x, results.back().view());
    for (float& value : wide.values) value = -1;
  }
  for (std::size_t block = 0; block < 7; ++block) {
    const Matrix<float> y = results[block].to_host();
    for (const float value : y.values) CHECK(value == 3 * static_cast<float>(block));
  }
}

TEST(without_pinned_memory_the_result_is_the_same) {
  const Faults clear;
  // Sizes that no other test has used: nothing of them is kept.
  emulation::inject_fault("cudaHostAlloc", cudaErrorMemoryAllocation, 0, -1);
  const int before = emulation::calls()["cudaHostAlloc"];
  check_blocks<double>({.max_memory = std::size_t{64} << 20}, 4000);
  CHECK(emulation::calls()["cudaHostAlloc"] > before);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST(pinned_memory_is_kept_for_later) {
  check_blocks<float>({}, 100);
  const int before = emulation::calls()["cudaHostAlloc"];
  check_blocks<float>({}, 100);
  CHECK(emulation::calls()["cudaHostAlloc"] == before);
}

// Checks that leaving out any one of the calls of `wait` that right(stream) makes, but the number `spare`, makes it wrong:
// where that stream, or the one that copies, is as early or as late as it may be.
template <class Right>
void check_every_wait(const char* wait, const std::vector<int>& spare, Right&& right) {
  const Faults clear;
  const auto run = [&](bool work_early, bool copy_early) {
    emulation::set_eager(work_early);
    const Stream own;
    emulation::set_eager(copy_early);
    const bool answer = right(own.stream());
    emulation::clear_faults();
    return answer;
  };
  const int before = emulation::calls()[wait];
  CHECK(run(false, false));
  const int count = emulation::calls()[wait] - before;
  for (int k = 0; k < count; ++k) {
    bool shows = false;
    for (const bool work_early : {false, true}) {
      for (const bool copy_early : {false, true}) {
        emulation::omit(wait, k);
        shows |= !run(work_early, copy_early);
        CHECK(run(work_early, copy_early));
      }
    }
    const bool needed = std::find(spare.begin(), spare.end(), k) == spare.end();
    if (!CHECK(shows == needed)) std::cout << wait << " " << k << " of " << count << "\n";
  }
}

TEST(every_wait_of_an_uploader_is_needed) {
  const Matrix<float> x = sketches::random_rows<float>(20, cols);
  const auto right = [&](cudaStream_t stream) {
    const Cuda backend{.stream = stream};
    device::DeviceMatrix<float> y(20, cols, 0, backend);
    {
      Uploader<float> up(backend, 4, cols);
      for (std::size_t r = 0; r < 20; r += 4) apply(backend, up(x.view().row_block(r, 4)), y.view().row_block(r, 4));
    }
    return is_applied(x, y.to_host());
  };
  check_every_wait("cudaStreamWaitEvent", {2}, right);      // the first block's wait was for the memory of both
  check_every_wait("cudaEventSynchronize", {0, 1}, right);  // nothing has been in the first two blocks
}

TEST(every_wait_of_a_downloader_is_needed) {
  const Matrix<float> x = sketches::random_rows<float>(20, cols);
  const auto right = [&](cudaStream_t stream) {
    const Cuda backend{.stream = stream};
    const device::DeviceMatrix<float> in(x, 0, backend);
    Matrix<float> y(20, cols);
    Downloader<float> down(backend, 4, cols);
    for (std::size_t r = 0; r < 20; r += 4) {
      apply(backend, in.view().row_block(r, 4), down.block(4));
      down.start(y.view().row_block(r, 4));
    }
    down.finish();
    return is_applied(x, y);
  };
  check_every_wait("cudaStreamWaitEvent", {}, right);
  check_every_wait("cudaEventSynchronize", {}, right);
}

TEST(wrong_shapes_are_refused_and_harmless) {
  const Matrix<float> x = sketches::random_rows<float>(5, cols);
  Uploader<float> up({}, 4, cols);
  CHECK(check::throws<fastntk::Error>([&] { up(x.view()); }, "rows has 5 rows; a block has at most 4"));
  CHECK(check::throws<fastntk::Error>([&] { up(x.view().block(0, 2, 0, 3)); }, "rows has shape (2, 3); (2, 37) is needed"));
  Downloader<float> down({}, 4, cols);
  CHECK(check::throws<fastntk::Error>([&] { down.block(5); }, "a block has at most 4"));
  Matrix<float> y(4, cols);
  const auto in = up(x.view().row_block(0, 4));
  apply<float>({}, in, down.block(4));
  CHECK(check::throws<fastntk::Error>([&] { down.start(y.view().row_block(0, 3)); }, "out has shape"));
  down.start(y.view());
  down.finish();
  CHECK(y(3, 2) == 2 * x(3, 2) + x(3, 0));
  CHECK(check::throws<fastntk::Error>([&] { fastntk::apply_to_host_rows<float>({}, x.view(), y.view(), [](auto, auto) {}); },
                                      "out has 4 rows; 5"));
}

TEST(no_failure_is_dropped) {
  const Matrix<float> x = sketches::random_rows<float>(40, cols);
  device::fail_every_call(
      [&] {
        const Cuda backend{.max_memory = 1 << 14};
        Matrix<float> y(40, cols);
        fastntk::apply_to_host_rows<float>(
            backend, x.view(), y.view(),
            [&](View<const float, Cuda> in, View<float, Cuda> out) { apply(backend, in, out); });
        CHECK(is_applied(x, y));
      },
      {"cudaStreamSynchronize"});  // only where something else has failed
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
