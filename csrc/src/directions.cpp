#include "directions.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "modified_directions.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t stages = 3;

}  // namespace

template <Real T, Backend B>
DirectionSet<T, B>::DirectionSet(const B& backend, Directions kind, std::size_t d, std::size_t m, std::uint64_t seed,
                                 std::size_t sweeps)
    : d_(d), m_(m), panel_(ProjectionMatrix<T, B>::panel) {
  if (kind == Directions::structured) {
    panel_ = std::max<std::size_t>(padded(d), 2);
    draw_blocks(backend, seed);
  } else if (kind == Directions::gibbs) {
    Array<T, B> w(backend, m, d);
    draw_modified_directions<T, B>(backend, {.sweeps = sweeps, .seed = seed}, true, w.view());
    matrix_ = ProjectionMatrix<T, B>(backend, std::as_const(w).view());
  } else {
    matrix_ = ProjectionMatrix<T, B>(backend, seed, d, m, kind == Directions::sphere);
  }
}

template <Real T, Backend B>
DirectionSet<T, B>::DirectionSet(const B& backend, View<const T, B> directions)
    : d_(directions.cols), m_(directions.rows), panel_(ProjectionMatrix<T, B>::panel), matrix_(backend, directions) {}

template <Real T, Backend B>
void DirectionSet<T, B>::draw_blocks(const B& backend, std::uint64_t seed) {
  const std::size_t n = panel_;
  const std::size_t blocks = (m_ + n - 1) / n;
  const rng::Draws angles{seed, rng::Stream::angle};
  const rng::Draws lengths{seed, rng::Stream::chi_square};
  std::vector<T> rotation(blocks * stages * n);
  std::vector<T> length(m_);
  for_host_blocks(blocks * stages, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t s = begin; s < end; ++s)
      for (std::size_t i = 0; i < n / 2; ++i) {
        const rng::Block bits = angles.bits(s * (n / 2) + i);
        const double angle = 2 * std::numbers::pi * rng::Draws::unit_interval(bits[0], bits[1]);
        rotation[s * n + i] = static_cast<T>(std::numbers::sqrt2 * std::cos(angle));
        rotation[s * n + n / 2 + i] = static_cast<T>(std::numbers::sqrt2 * std::sin(angle));
      }
  });
  // A stage multiplies norms by sqrt(n), and a unit vector's norm is spread over n outputs.
  const double scale = std::pow(static_cast<double>(n), -0.5 * static_cast<double>(stages));
  for_host_blocks(m_, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j)
      length[j] = static_cast<T>(std::sqrt(lengths.chi_square(j, static_cast<double>(n))) * scale);
  });
  rotation_ = Buffer<T, B>(backend, rotation);
  length_ = Buffer<T, B>(backend, length);
}

template <Real T, Backend B>
std::size_t DirectionSet<T, B>::tile_rows(const B& backend, std::size_t out_features) const {
  if (length_.size() > 0) return rows_per_tile<T>(backend, out_features + 2 * panel_);
  // A large matrix comes from far away once a tile, so that a tile has to have many rows; on a device it always has.
  constexpr std::size_t large = 128;
  if (std::same_as<B, Cpu> && d_ >= large) return large;
  return rows_per_tile<T>(backend, out_features + 2 * std::min(panel_, d_));
}

template <Real T, Backend B>
void DirectionSet<T, B>::apply(Tile<B>& tile, View<const T, B> x, std::size_t first, const Activation<T>& f,
                               View<T, B> out) const {
  if (length_.size() > 0) {
    rotated_hadamard<T, B>(tile, x, rotation_.data() + first * stages, length_.data() + first, panel_, f, out);
  } else {
    project<T, B>(tile, x, matrix_, first, f, out);
  }
}

template class DirectionSet<float, FASTNTK_BACKEND>;
template class DirectionSet<double, FASTNTK_BACKEND>;

}  // namespace fastntk
