// What all transforms of rows ask of their arguments.
#pragma once

#include <fastntk/error.hpp>
#include <fastntk/view.hpp>

#include <bit>
#include <string>

#include "tiling.hpp"

namespace fastntk {

template <class S, Backend B>
void require_transformable(View<const S, B> x, View<S, B> out) {
  require(std::has_single_bit(x.cols),
          [&] { return "fwht: x has " + std::to_string(x.cols) + " columns; a power of two is needed"; });
  require_shape(out, x.rows, x.cols, "fwht: out");
}

}  // namespace fastntk
