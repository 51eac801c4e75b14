#include <fastntk/error.hpp>
#include <fastntk/upload.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include "../src/tile.hpp"
#include "../src/tiling.hpp"
#include "pinned.cuh"
#include "runtime.cuh"
#include "workspace.cuh"

namespace fastntk {
namespace {

/// One thread of the host copies slower than the bus.
template <class T>
void copy_rows(View<const T> from, View<T> to) {
  constexpr std::size_t bytes_at_once = std::size_t{1} << 20;
  const std::size_t rows = std::max<std::size_t>(bytes_at_once / (sizeof(T) * std::max<std::size_t>(from.cols, 1)), 1);
  for_host_blocks(from.rows, rows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) std::memcpy(to.row(r), from.row(r), from.cols * sizeof(T));
  });
}

/// A block in device memory and its copy on the host.
template <class T>
struct Slot {
  Slot(const Cuda& backend, std::size_t rows, std::size_t cols)
      : staging(rows * cols * sizeof(T)), device(backend, std::max<std::size_t>(rows * cols * sizeof(T), 1)) {}

  View<T> staged(std::size_t rows, std::size_t cols) const { return {static_cast<T*>(staging.data()), rows, cols}; }
  View<T, Cuda> on_device(std::size_t rows, std::size_t cols) const {
    return View<T, Cuda>(static_cast<T*>(device.data()), rows, cols);
  }

  cuda::StagingMemory staging;
  cuda::Workspace device;
  cuda::Event copied;  // between the two
  cuda::Event worked;  // by the backend's stream, with the device's block
};

/// Two blocks, used in turn, and the stream that copies them. Made and used with the device current.
template <class T>
struct Pipeline {
  Pipeline(const Cuda& b, std::size_t rows, std::size_t cols, const char* n)
      : name(n), backend(b), slots{{b, rows, cols}, {b, rows, cols}}, most_rows(rows), n_cols(cols) {
    // The blocks are there for others than the backend's stream once it has come this far.
    for (Slot<T>& slot : slots) slot.worked.record(backend.stream);
  }
  ~Pipeline() {
    // Nobody may copy from or to memory that is given back.
    if (cudaStreamSynchronize(copier) != cudaSuccess) cudaGetLastError();
  }

  Slot<T>& now() { return slots[turn % 2]; }
  Slot<T>& before() { return slots[(turn + 1) % 2]; }
  void require_rows(std::size_t rows) const {
    require(rows <= most_rows, [&] {
      return std::string(name) + ": rows has " + std::to_string(rows) + " rows; a block has at most " +
             std::to_string(most_rows);
    });
  }

  const char* name;
  Cuda backend;
  Slot<T> slots[2];
  cuda::Stream copier;
  std::size_t most_rows, n_cols;
  std::size_t turn = 0;
};

}  // namespace

template <Real T>
std::size_t block_rows(const Cuda& backend, std::size_t rows, std::size_t cols) {
  // 32 MiB take half a millisecond on the bus, long against what a block costs beside.
  const std::size_t bytes = std::min(std::size_t{32} << 20, cuda::memory_limit(backend) / 16);
  return std::clamp<std::size_t>(bytes / (sizeof(T) * std::max<std::size_t>(cols, 1)), 1, std::max<std::size_t>(rows, 1));
}

template <Real T>
struct Uploader<T>::State : Pipeline<T> {
  using Pipeline<T>::Pipeline;
};

template <Real T>
Uploader<T>::Uploader(const Cuda& backend, std::size_t rows, std::size_t cols) {
  const cuda::DeviceGuard current(backend.device);
  state_ = std::make_unique<State>(backend, rows, cols, "Uploader");
}
template <Real T>
Uploader<T>::~Uploader() = default;

template <Real T>
View<const T, Cuda> Uploader<T>::operator()(View<const T> rows) {
  State& s = *state_;
  s.require_rows(rows.rows);
  require_shape(rows, rows.rows, s.n_cols, "Uploader: rows");
  const cuda::DeviceGuard current(s.backend.device);
  // What is queued by now is the last of the work with the block before.
  s.before().worked.record(s.backend.stream);
  Slot<T>& slot = s.now();
  slot.copied.wait();  // the staging memory has been read
  copy_rows(rows, slot.staged(rows.rows, rows.cols));
  slot.worked.delay(s.copier);
  const View<T, Cuda> block = slot.on_device(rows.rows, rows.cols);
  cuda::check(
      cudaMemcpyAsync(block.data, slot.staging.data(), rows.rows * rows.cols * sizeof(T), cudaMemcpyHostToDevice, s.copier),
      "a copy to the device");
  slot.copied.record(s.copier);
  slot.copied.delay(s.backend.stream);
  ++s.turn;
  return block;
}

template <Real T>
struct Downloader<T>::State : Pipeline<T> {
  using Pipeline<T>::Pipeline;

  // The rows of a slot reach their place once they are in its staging memory.
  void arrive(std::size_t i) {
    View<T>& out = arriving[i];
    if (out.rows == 0) return;
    this->slots[i].copied.wait();
    copy_rows<T>(this->slots[i].staged(out.rows, out.cols), out);
    out = {};
  }

  View<T> arriving[2];
  std::size_t block_size = 0;
};

template <Real T>
Downloader<T>::Downloader(const Cuda& backend, std::size_t rows, std::size_t cols) {
  const cuda::DeviceGuard current(backend.device);
  state_ = std::make_unique<State>(backend, rows, cols, "Downloader");
}
template <Real T>
Downloader<T>::~Downloader() = default;

template <Real T>
View<T, Cuda> Downloader<T>::block(std::size_t rows) {
  State& s = *state_;
  s.require_rows(rows);
  s.block_size = rows;
  return s.now().on_device(rows, s.n_cols);
}

template <Real T>
void Downloader<T>::start(View<T> out) {
  State& s = *state_;
  require_shape(out, s.block_size, s.n_cols, "Downloader: out");
  const cuda::DeviceGuard current(s.backend.device);
  const std::size_t i = s.turn % 2;
  Slot<T>& slot = s.now();
  slot.worked.record(s.backend.stream);
  slot.worked.delay(s.copier);
  cuda::check(cudaMemcpyAsync(slot.staging.data(), slot.device.data(), out.rows * out.cols * sizeof(T),
                              cudaMemcpyDeviceToHost, s.copier),
              "a copy from the device");
  slot.copied.record(s.copier);
  s.arriving[i] = out;
  ++s.turn;
  s.arrive(1 - i);  // while the device is busy with this one
}

template <Real T>
void Downloader<T>::finish() {
  State& s = *state_;
  const cuda::DeviceGuard current(s.backend.device);
  s.arrive(s.turn % 2);
  s.arrive((s.turn + 1) % 2);
}

template <Real T>
void for_host_row_blocks(const Cuda& backend, View<const T> in, View<T> out,
                         const std::function<void(View<const T, Cuda>, View<T, Cuda>)>& apply) {
  require(in.rows == out.rows, [&] {
    return "out has " + std::to_string(out.rows) + " rows; " + std::to_string(in.rows) + " are needed, as in the input";
  });
  const std::size_t rows = block_rows<T>(backend, in.rows, std::max(in.cols, out.cols));
  Uploader<T> up(backend, rows, in.cols);
  Downloader<T> down(backend, rows, out.cols);
  for (std::size_t begin = 0; begin < in.rows; begin += rows) {
    const std::size_t count = std::min(rows, in.rows - begin);
    const View<const T, Cuda> x = up(in.row_block(begin, count));
    apply(x, down.block(count));
    down.start(out.row_block(begin, count));
  }
  down.finish();
}

#define FASTNTK_INSTANTIATE(T)                                               \
  template std::size_t block_rows<T>(const Cuda&, std::size_t, std::size_t); \
  template class Uploader<T>;                                                \
  template class Downloader<T>;                                              \
  template void for_host_row_blocks(const Cuda&, View<const T>, View<T>,     \
                                    const std::function<void(View<const T, Cuda>, View<T, Cuda>)>&);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
