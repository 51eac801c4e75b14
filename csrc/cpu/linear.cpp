// What the estimators need of dense rows.
#include <fastntk/linear.hpp>

#include <algorithm>
#include <cstddef>

#include "thread_pool.hpp"

namespace fastntk {

template <Real T>
void row_squares(const Cpu& backend, View<const T> z, double* square) {
  constexpr std::size_t lanes = 16;
  constexpr std::size_t numbers_per_task = std::size_t{1} << 16;
  const std::size_t at_once = std::max<std::size_t>(1, numbers_per_task / std::max<std::size_t>(1, z.cols));
  cpu::parallel_for(backend.threads, (z.rows + at_once - 1) / at_once, [&](std::size_t task, int) {
    for (std::size_t i = task * at_once; i < std::min(z.rows, (task + 1) * at_once); ++i) {
      const T* const x = z.row(i);
      // Sums of every 16th number, so that compilers can take several at a time on any machine, with the same bits.
      double sums[lanes] = {};
      std::size_t j = 0;
      for (; j + lanes <= z.cols; j += lanes) {
        for (std::size_t k = 0; k < lanes; ++k) sums[k] += static_cast<double>(x[j + k]) * static_cast<double>(x[j + k]);
      }
      double sum = 0;
      for (; j < z.cols; ++j) sum += static_cast<double>(x[j]) * static_cast<double>(x[j]);
      for (const double part : sums) sum += part;
      square[i] = sum;
    }
  });
}

template void row_squares(const Cpu&, View<const float>, double*);
template void row_squares(const Cpu&, View<const double>, double*);

}  // namespace fastntk
