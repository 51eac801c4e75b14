// The activations of random features.
#pragma once

#include <fastntk/view.hpp>

#include "formula.hpp"

namespace fastntk {

/// f(u) = u, scale * max(u, 0), or scale * 1(u > 0): what becomes of a projection on its way to memory.
template <Real T>
struct Activation {
  enum class Kind { identity, relu, step };
  Kind kind = Kind::identity;
  T scale = 1;

  FASTNTK_FORMULA T operator()(T u) const {
    if (kind == Kind::identity) return u;
    return u > 0 ? (kind == Kind::relu ? scale * u : scale) : T(0);
  }
};

}  // namespace fastntk
