// What a convolutional feature map is to be, checked and chosen.
#include <fastntk/cntk_sketch.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <string>

#include "cntk.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t least_width = 64, most_width = std::size_t{1} << 17;

// Until their error is that of the columns, features of pixels inside cost less than they gain.
std::size_t default_width(const CntkSketchParams& p) {
  return p.out_features <= 512 ? 512 : p.out_features <= 2048 ? 1024 : p.out_features <= 8192 ? 2048 : 4096;
}

void require_polynomials(const std::vector<std::vector<double>>& kappa, std::size_t depth, std::size_t size,
                         const char* name) {
  const auto prefix = [&] { return "CntkSketch: " + std::string(name) + " has "; };
  require(kappa.size() == depth, [&] {
    return prefix() + std::to_string(kappa.size()) + " polynomials; one for each of " + std::to_string(depth) +
           " layers is needed";
  });
  for (const auto& coefficients : kappa) {
    require(coefficients.size() == size && size > 1, [&] {
      return prefix() + "a polynomial of " + std::to_string(coefficients.size()) +
             " coefficients; all are to have the same number of at least 2";
    });
    for (const double c : coefficients)
      require(c >= 0 && std::isfinite(c),
              [&] { return prefix() + "the coefficient " + std::to_string(c) + "; finite ones from 0 on are needed"; });
  }
}

}  // namespace

CntkSketchParams resolved_cntk_sketch(const CntkSketchParams& params) {
  CntkSketchParams p = params;
  require_size(p.out_features, "CntkSketch: out_features");
  const CntkPlan plan = cntk_plan(p.kernel, "CntkSketch");
  require_size(plan.filter_size * plan.filter_size, "CntkSketch: filter_size^2");
  require_size(plan.filter_size * plan.filter_size * plan.channels, "CntkSketch: filter_size^2 * channels");
  require_finite<double>(p.kernel.bias, "CntkSketch: bias");
  if (p.method == CntkMethod::sketch) {
    const std::size_t size = p.kappa_1.empty() ? 0 : p.kappa_1[0].size();
    require_polynomials(p.kappa_1, p.kernel.depth, size, "kappa_1");
    require_polynomials(p.kappa_0, p.kernel.depth, size, "kappa_0");
  }
  if (p.width == 0) p.width = default_width(p);
  require(p.width >= least_width && std::has_single_bit(p.width) && p.width <= most_width, [&] {
    return "CntkSketch: width is " + std::to_string(p.width) + "; a power of two from " + std::to_string(least_width) +
           " to " + std::to_string(most_width) + " is needed, or the default";
  });
  if (p.diagonal == Diagonal::automatic) p.diagonal = Diagonal::exact;
  return p;
}

}  // namespace fastntk
