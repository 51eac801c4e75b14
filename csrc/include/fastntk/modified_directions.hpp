// Directions of the leverage-modified law p(w) = |w|^2 exp(-|w|^2/2) / ((2 pi)^(d/2) d) (Z21 Eq. 15).
#pragma once

#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>

namespace fastntk {

/// How they are drawn. The law is the same: |w|^2 is chi-square with d + 2 degrees of freedom, w/|w| uniform on the sphere.
///   gibbs   coordinate by coordinate from its law given the others, as the paper has it: density proportional to
///           (z + t^2) exp(-t^2/2), z the sum of the other squares. That is a standard normal with probability z/(z + 1) and
///           else +-sqrt(chi^2_3), and is drawn as such, exactly. Starts from independent normals.
///   direct  a uniform direction times the root of a chi-square: exact at once, and as fast as a sweep.
enum class ModifiedSampler { gibbs, direct };

struct ModifiedDirectionsParams {
  ModifiedSampler method = ModifiedSampler::gibbs;
  /// Chains of the Gibbs sampler: direction j comes from chain j % chains. 0 means one for each, so that directions are
  /// independent and direction j does not depend on how many there are; at most as many as directions are used.
  std::size_t chains = 0;
  /// Sweeps over all coordinates that a chain makes first, and then before each of its directions. What the start leaves in
  /// the law of |w|^2 falls at least 8-fold a sweep (the worst case is d = 2), so that ten leave 1e-9.
  std::size_t burn_in = 0;
  std::size_t sweeps = 10;
  std::uint64_t seed = 0;
};

/// Rows of out (m, d) <- m directions. Draws are functions of the seed, the chain, the sweep and the coordinate: the same
/// for any number of threads, and on every backend up to the rounding of logarithm, sine and cosine. Throws Error if out has
/// no columns, sweeps is 0, or a chain would make 2^30 sweeps or more.
template <Real T, Backend B>
void sample_modified_directions(const B& backend, const ModifiedDirectionsParams& params, View<T, B> out);

}  // namespace fastntk
