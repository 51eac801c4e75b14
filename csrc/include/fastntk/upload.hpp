// Host matrices too large or too far away for the device: their rows travel in blocks, while earlier blocks are worked on.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace fastntk {

/// Rows of a block so that `cols` columns, those that a row has on the way in or those on the way out, take at most 32 MiB
/// and a sixteenth of the workspace that a call may take; at most `rows`, at least 1.
template <Real T>
std::size_t block_rows(const Cuda& backend, std::size_t rows, std::size_t cols);

/// Copies `bytes` of the host to device memory in the stream's order, without waiting for the device (but for the oldest of
/// many such copies): the host's may change as soon as the call returns.
void upload(const Cuda& backend, const void* host, std::size_t bytes, void* memory);

/// Brings rows to the device. Two blocks are under way at a time: one on a stream of its own, through pinned memory (or,
/// where there is none, through what the driver has), while the backend's stream works on the other. Not for several
/// threads.
template <Real T>
class Uploader {
 public:
  /// For blocks of at most `rows` rows of `cols` columns. Throws OutOfMemory.
  Uploader(const Cuda& backend, std::size_t rows, std::size_t cols);
  ~Uploader();

  /// The rows in device memory, for work that is queued on the backend's stream before the next call. `rows` may be changed
  /// when this returns. Throws Error if there are more rows than a block has, or other columns.
  View<const T, Cuda> operator()(View<const T> rows);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Brings rows from the device, likewise.
template <Real T>
class Downloader {
 public:
  /// For blocks of at most `rows` rows of `cols` columns. Throws OutOfMemory.
  Downloader(const Cuda& backend, std::size_t rows, std::size_t cols);
  /// Rows that finish() was not called for may or may not have arrived.
  ~Downloader();

  /// Device memory for `rows` rows, to be filled by work on the backend's stream and then given to start(). Throws Error if
  /// there are more rows than a block has.
  View<T, Cuda> block(std::size_t rows);
  /// The last block(), filled by what is queued on the backend's stream so far, goes to `out`, where it is after finish().
  /// Throws Error if the shape differs.
  void start(View<T> out);
  /// Waits until all rows are in their places, and throws what went wrong.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Calls apply(x, y) for blocks of rows on the device, x (b, in.cols) and y (b, out.cols), so that `out` becomes what
/// `apply` makes of `in`, both on the host. Waits for the result. Throws Error if the numbers of rows differ.
template <Real T, class Apply>
void apply_to_host_rows(const Cuda& backend, View<const T> in, View<T> out, Apply&& apply);

/// The blocks of apply_to_host_rows().
template <Real T>
void for_host_row_blocks(const Cuda& backend, View<const T> in, View<T> out,
                         const std::function<void(View<const T, Cuda>, View<T, Cuda>)>& apply);

template <Real T, class Apply>
void apply_to_host_rows(const Cuda& backend, View<const T> in, View<T> out, Apply&& apply) {
  for_host_row_blocks<T>(backend, in, out, [&](View<const T, Cuda> x, View<T, Cuda> y) { apply(x, y); });
}

}  // namespace fastntk
