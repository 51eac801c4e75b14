// Small arrays of the host on their way to a device, by way of pinned memory.
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>

namespace fastntk::cuda {

/// Copies `bytes` of the host to device memory in the stream's order, without waiting for the device (but for the oldest of
/// many such copies): the host's may change as soon as the call returns.
void copy_in_queued(const Cuda& backend, const void* host, std::size_t bytes, void* memory);

}  // namespace fastntk::cuda
