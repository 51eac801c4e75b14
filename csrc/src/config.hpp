// Each backend's part of config().
#pragma once

#include <fastntk/config.hpp>

namespace fastntk {

/// Fills in instruction sets, BLAS and threads.
void describe_cpu(Config& config);

/// Fills in cuda_status, cuda_devices and cuda_libraries. Only in builds that have the CUDA backend.
void describe_cuda(Config& config);

}  // namespace fastntk
