// A small thread pool: one parallel region at a time, workers kept between regions, usable after fork.
#pragma once

#include <cstddef>

#include "../src/function_ref.hpp"

namespace fastntk::cpu {

/// The processors this process may use: its affinity mask, lowered by OMP_NUM_THREADS where that is set.
int available_threads();

/// Calls `body(index, worker)` once for every index in [0, count), on up to `threads` threads (0: all available ones).
/// Indices are handed out in order; `worker` is in [0, threads) and never runs two bodies at once. Runs on the calling
/// thread alone when it is itself inside a region, or when another thread's region occupies the pool. The first exception
/// is rethrown here once every thread has stopped.
void parallel_for(int threads, std::size_t count, FunctionRef<void(std::size_t index, int worker)> body);

}  // namespace fastntk::cpu
