// Products of two samples of rows that a block holds.
#pragma once

#include <fastntk/view.hpp>

#include <cstdint>

namespace fastntk::cuda {

/// out[r][j] = scale * a[r][index_a[j]] * b[r][index_b[j]] from rows that are read once, in order; returns false, and does
/// nothing, where they are too long for that or the samples too few.
template <Real T>
bool product_on_chip(const Cuda& backend, View<const T, Cuda> a, const std::uint32_t* index_a, View<const T, Cuda> b,
                     const std::uint32_t* index_b, T scale, View<T, Cuda> out);

}  // namespace fastntk::cuda
