#include "modified_directions.hpp"

#include <fastntk/rng.hpp>

#include <algorithm>
#include <cmath>
#include <string>

#include "primitives.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Two neighbouring coordinates share their random blocks: one is their pair of normals, one says which are chi_3, and one
// makes them so. A sweep has the attempts block_count * sweep, ...; the start is sweep 0.
enum BlockOf : std::uint32_t { normals, choices, lengths, block_count };

// The chains' coordinates, side by side: coordinate i of chain c is w(i, c). `first` is the number of the first of them.
template <Backend B>
struct Chains {
  View<double, B> w;
  std::size_t first;
  rng::Draws draws;

  FASTNTK_FORMULA std::size_t dim() const { return w.rows; }
  FASTNTK_FORMULA rng::Block bits(std::size_t chain, std::size_t pair, std::size_t sweep, BlockOf what) const {
    return draws.bits((first + chain) * ((dim() + 1) / 2) + pair, static_cast<std::uint32_t>(sweep) * block_count + what);
  }

  FASTNTK_FORMULA double square(std::size_t chain) const {
    double sum = 0;
    for (std::size_t i = 0; i < dim(); ++i) sum += w(i, chain) * w(i, chain);
    return sum;
  }

  FASTNTK_FORMULA void start(std::size_t chain) const {
    for (std::size_t i = 0; i < dim(); i += 2) {
      const auto pair = rng::Draws::normal_pair(bits(chain, i / 2, 0, normals));
      w(i, chain) = pair[0];
      if (i + 1 < dim()) w(i + 1, chain) = pair[1];
    }
  }

  // The running sum is made anew here, so that its rounding errors do not add up over sweeps.
  FASTNTK_FORMULA void sweep(std::size_t chain, std::size_t number) const {
    double sum = square(chain);
    for (std::size_t i = 0; i < dim(); i += 2) {
      const auto pair = rng::Draws::normal_pair(bits(chain, i / 2, number, normals));
      const rng::Block choice = bits(chain, i / 2, number, choices);
      FASTNTK_UNROLL
      for (std::size_t k = 0; k < 2; ++k) {
        if (i + k >= dim()) break;
        double& t = w(i + k, chain);
        const double others = sum - t * t;
        const double z = others > 0 ? others : 0;
        t = pair[k];
        if (rng::Draws::unit_interval(choice[2 * k], choice[2 * k + 1]) * (z + 1) > z) {
          // chi^2_3 = n^2 - 2 log u; the sign is the normal's.
          const rng::Block length = bits(chain, i / 2, number, lengths);
          const double u = rng::Draws::unit_interval(length[2 * k], length[2 * k + 1]);
          t = std::copysign(std::sqrt(t * t - 2 * std::log(u)), t);
        }
        sum = z + t * t;
      }
    }
  }
};

ModifiedDirectionsParams checked(ModifiedDirectionsParams p, std::size_t directions, std::size_t dim) {
  require_size(dim, "sample_modified_directions: the number of columns of out");
  require_positive(p.sweeps, "sample_modified_directions: sweeps");
  if (p.chains == 0 || p.method == ModifiedSampler::direct) p.chains = directions;
  p.chains = std::min(p.chains, directions);
  constexpr std::size_t most = std::size_t{1} << 30;
  const std::size_t rounds = p.chains == 0 ? 0 : (directions + p.chains - 1) / p.chains;
  require(p.burn_in < most && p.sweeps < most && rounds * p.sweeps < most - p.burn_in, [&] {
    return "sample_modified_directions: burn_in is " + std::to_string(p.burn_in) + " and sweeps is " +
           std::to_string(p.sweeps) + "; less than 2^30 sweeps of a chain are possible";
  });
  return p;
}

}  // namespace

template <Real T, Backend B>
void draw_modified_directions(const B& backend, const ModifiedDirectionsParams& params, bool on_sphere, View<T, B> out) {
  const std::size_t d = out.cols;
  const ModifiedDirectionsParams p = checked(params, out.rows, d);
  const bool direct = p.method == ModifiedSampler::direct;
  const rng::Draws squares{p.seed, rng::Stream::chi_square};
  for_tiles<B>(backend, p.chains, rows_per_tile<double>(backend, d), [&](Tile<B>& tile, RowRange r) {
    const typename Tile<B>::Scope scope(tile);
    const Chains<B> chains{tile.template scratch<double>(d, r.count), r.begin, {p.seed, rng::Stream::modified}};
    double* const factor = tile.template scratch<double>(1, r.count).data;
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.start(c); });

    std::size_t sweep = 0;
    for (std::size_t first = r.begin; first < out.rows; first += p.chains) {
      const std::size_t wanted = direct ? 0 : p.sweeps + (sweep == 0 ? p.burn_in : 0);
      for (std::size_t i = 0; i < wanted; ++i) {
        ++sweep;
        for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t c) { chains.sweep(c, sweep); });
      }
      const View<T, B> rows = out.row_block(first, std::min(r.count, out.rows - first));
      for_each(tile, rows.rows, [=] FASTNTK_FORMULA(std::size_t c) {
        const auto degrees = static_cast<double>(d) + 2;
        const double square = on_sphere ? degrees - 2 : direct ? squares.chi_square(chains.first + c, degrees) : 0;
        factor[c] = square > 0 ? std::sqrt(square / chains.square(c)) : 1;
      });
      for_each(tile, rows.rows * d, [=] FASTNTK_FORMULA(std::size_t index) {
        const std::size_t c = index / d;
        const std::size_t i = index % d;
        rows(c, i) = static_cast<T>(factor[c] * chains.w(i, c));
      });
    }
  });
}

template <Real T, Backend B>
void sample_modified_directions(const B& backend, const ModifiedDirectionsParams& params, View<T, B> out) {
  draw_modified_directions<T, B>(backend, params, false, out);
}

#define FASTNTK_INSTANTIATE(T)                                                                          \
  template void draw_modified_directions(const FASTNTK_BACKEND&, const ModifiedDirectionsParams&, bool, \
                                         View<T, FASTNTK_BACKEND>);                                     \
  template void sample_modified_directions(const FASTNTK_BACKEND&, const ModifiedDirectionsParams&,     \
                                           View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
