#include "pixel_layers.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

#include "draws.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// What a layer's seed is split into: part of every map's definition.
enum Part : std::uint64_t {
  directions_part = 1,
  weights_part,
  constant_part,
  phi_fold_part,
  psi_fold_part,
  numbers_part,
  mix_part
};

template <Real T>
std::vector<T> random_signs(std::uint64_t seed, std::size_t count, double scale = 1) {
  const rng::Draws draws{seed, rng::Stream::sign};
  std::vector<T> signs(count);
  for (std::size_t i = 0; i < count; ++i) signs[i] = static_cast<T>(scale * draws.sign(i));
  return signs;
}

std::vector<std::uint32_t> random_order(std::uint64_t seed, std::size_t count) {
  return draw_subset<Cpu>({}, seed, count, count).to_host();
}

// The inverse of the normal distribution function, by bisection: a few thousand values are needed once.
double normal_quantile(double p) {
  double low = -9, high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return low;
}

// m standard normals, one from each m-th part of the distribution, in random order: sums over them are nearly integrals.
template <Real T>
std::vector<T> stratified_normals(std::uint64_t seed, std::size_t m) {
  const std::vector<std::uint32_t> order = random_order(seed, m);
  const rng::Draws draws{seed, rng::Stream::angle};
  std::vector<T> values(m);
  for (std::size_t i = 0; i < m; ++i) {
    const rng::Block bits = draws.bits(i);
    const double inside = rng::Draws::unit_interval(bits[0], bits[1]);
    values[i] = static_cast<T>(normal_quantile((order[i] + inside) / static_cast<double>(m)));
  }
  return values;
}

// Vectors of m signs, of which as many as m has bits are such that products of different ones add up to 0.
template <Real T>
class BalancedSigns {
 public:
  BalancedSigns(std::uint64_t seed, std::size_t m)
      : seed_(seed), order_(random_order(seed, m)), bits_(static_cast<std::size_t>(std::countr_zero(m))) {}
  std::vector<T> next() {
    const std::size_t number = count_++;
    if (number >= bits_) return random_signs<T>(rng::child_seed(seed_, number), order_.size());
    std::vector<T> signs;
    for (const std::uint32_t i : order_) signs.push_back(i >> number & 1u ? T(-1) : T(1));
    return signs;
  }

 private:
  std::uint64_t seed_;
  std::vector<std::uint32_t> order_;
  std::size_t bits_;
  std::size_t count_ = 0;
};

/// The constants of a fold on the host, and what it makes of a field that is the same vector everywhere.
template <Real T>
struct HostFold {
  HostFold(std::uint64_t seed, std::size_t area, std::size_t m) : weight(random_signs<T>(seed, area * m)), shift(area) {
    const rng::Draws draws{seed, rng::Stream::sample};
    for (std::size_t k = 0; k < area; ++k)
      shift[k] = static_cast<std::uint32_t>(fold_group) * draws.integer(k, static_cast<std::uint32_t>(m / fold_group));
  }
  std::vector<T> operator()(const T* v, std::size_t m) const {
    std::vector<T> sum(m);
    for (std::size_t k = 0; k < shift.size(); ++k)
      for (std::size_t c = 0; c < m; ++c) sum[c] += weight[k * m + c] * v[(c + shift[k]) % m];
    return sum;
  }
  template <Backend B>
  FoldConstants<T, B> on(const B& backend) const {
    return {Buffer<std::uint32_t, B>(backend, shift), Buffer<T, B>(backend, weight)};
  }

  std::vector<T> weight;
  std::vector<std::uint32_t> shift;
};

// All products of one row with the directions.
template <Real T, Backend B>
std::vector<T> projections(const B& backend, const DirectionSet<T, B>& directions, const std::vector<T>& row) {
  const Buffer<T, B> in(backend, row);
  Buffer<T, B> out(backend, directions.size());
  Tile<B> tile(backend);
  project_all<T, B>(tile, directions, View<const T, B>(in.data(), 1, row.size()), View<T, B>(out.data(), 1, out.size()));
  return out.to_host();
}

Directions pixel_directions(std::size_t d) { return d < structured_from ? Directions::gaussian : Directions::structured; }

template <Real T, Backend B>
DirectionSet<T, B> draw_directions(const B& backend, std::size_t d, std::size_t m, std::uint64_t seed) {
  return DirectionSet<T, B>(backend, pixel_directions(d), d, m, seed);
}

// Of the polynomials, and the vectors by which a patch's number enters the projections.
template <Real T, Backend B>
void draw_polynomials(PixelLayer<T, B>& layer, const std::vector<double>& kappa_1, const std::vector<double>& kappa_0,
                      std::size_t m, std::uint64_t seed, std::vector<std::vector<T>>& number_weights, const B& backend) {
  const std::size_t degree = kappa_1.size() - 1;
  BalancedSigns<T> signs(seed, m);
  for (std::size_t j = 0; j < degree; ++j) number_weights.push_back(signs.next());
  std::vector<T> f_1, f_0;
  for (std::size_t j = 1; j <= degree; ++j) {
    // The sum of the powers' features has products of different ones, which random signs keep from adding up.
    const std::vector<T> sign = j > 1 ? signs.next() : std::vector<T>(m, T(1));
    for (const T s : sign) {
      f_1.push_back(s * static_cast<T>(std::sqrt(kappa_1[j])));
      f_0.push_back(s * static_cast<T>(std::sqrt(kappa_0[j])));
    }
  }
  layer.kappa_1 = Buffer<T, B>(backend, f_1);
  layer.kappa_0 = Buffer<T, B>(backend, f_0);
  layer.root_a0 = std::sqrt(kappa_1[0]);
  layer.root_b0 = std::sqrt(kappa_0[0]);
}

}  // namespace

template <Real T, Backend B>
PixelLayers<T, B>::PixelLayers(const CntkSketchParams& params, const B& backend)
    : image{params.kernel.image.height, params.kernel.image.width, params.kernel.image.channels + (params.kernel.bias != 0)},
      q(params.kernel.filter_size),
      pad(params.kernel.padding == Padding::same ? q / 2 : 0),
      m(params.width),
      degree(params.method == CntkMethod::sketch ? params.kappa_1[0].size() - 1 : 1),
      relu(params.method == CntkMethod::random_features),
      train_last(params.kernel.train_last) {
  const bool train_first = params.kernel.train_first;
  const std::size_t area = q * q, shrink = q - 1 - 2 * pad;
  const double spread = 1 / std::sqrt(static_cast<double>(m));
  std::vector<T> phi_spread;               // what e is spread by in the field phi of the layer below
  std::vector<std::vector<T>> eta_spread;  // and the numbers in its field eta
  if (train_first) first_psi = draw_directions<T>(backend, area * image.channels, m, rng::child_seed(params.seed, 0));
  for (std::size_t h = 1; h <= params.kernel.depth; ++h) {
    const std::uint64_t seed = rng::child_seed(params.seed, h);
    PixelLayer<T, B> layer{};
    layer.height = image.height - h * shrink;
    layer.width = image.width - h * shrink;
    layer.has_psi = h > 1 || train_first;
    layer.numbers = h - 1;

    std::vector<std::vector<T>> number_weights;
    const std::uint64_t weights_seed = rng::child_seed(seed, weights_part);
    if (relu) {
      number_weights.push_back(stratified_normals<T>(weights_seed, m));
      layer.root_a0 = std::sqrt(1 / std::numbers::pi);
      layer.root_b0 = std::sqrt(0.5);
    } else {
      draw_polynomials(layer, params.kappa_1[h - 1], params.kappa_0[h - 1], m, weights_seed, number_weights, backend);
    }
    const std::size_t d = h == 1 ? area * image.channels : m;
    const std::uint64_t directions_seed = rng::child_seed(seed, directions_part);
    for (std::size_t j = 0; j < degree; ++j)
      layer.directions.push_back(draw_directions<T>(backend, d, m, rng::child_seed(directions_seed, j)));
    const std::vector<T> e_spread = random_signs<T>(rng::child_seed(seed, constant_part), m, spread);
    std::vector<T> constant;
    for (const T s : e_spread) constant.push_back(static_cast<T>(layer.root_a0 / spread * static_cast<double>(s)));
    layer.constant = Buffer<T, B>(backend, constant);

    std::vector<std::vector<T>> psi_spread;
    if (h > 1) {
      const T filter = static_cast<T>(q);
      const HostFold<T> phi_fold(rng::child_seed(seed, phi_fold_part), area, m);
      layer.phi_fold = phi_fold.on(backend);
      const std::vector<T> folded = phi_fold(phi_spread.data(), m);
      std::vector<T> offset;
      for (std::size_t j = 0; j < degree; ++j) {
        const std::vector<T> known = projections(backend, layer.directions[j], folded);
        for (std::size_t c = 0; c < m; ++c) offset.push_back(filter * number_weights[j][c] - known[c]);
      }
      layer.offset = Buffer<T, B>(backend, offset);

      const HostFold<T> psi_fold(rng::child_seed(seed, psi_fold_part), area, m);
      layer.psi_fold = psi_fold.on(backend);
      std::vector<T> correction;
      for (std::size_t j = 0; j < layer.numbers; ++j) {
        const std::vector<T> known = psi_fold(eta_spread[j].data(), m);
        psi_spread.push_back(random_signs<T>(rng::child_seed(rng::child_seed(seed, numbers_part), j), m, spread));
        for (std::size_t c = 0; c < m; ++c) correction.push_back(filter * psi_spread[j][c] - known[c]);
      }
      layer.correction = Buffer<T, B>(backend, correction);
    }

    const std::uint64_t mix_seed = rng::child_seed(seed, mix_part);
    // Without psi, eta is phi.
    const std::vector<T> sign_phi =
        layer.has_psi ? random_signs<T>(rng::child_seed(mix_seed, 1), m) : std::vector<T>(m, T(1));
    layer.sign_phi = Buffer<T, B>(backend, sign_phi);
    layer.sign_product = Buffer<T, B>(backend, random_signs<T>(rng::child_seed(mix_seed, 2), m));
    for (const std::vector<T>& v : psi_spread) last_spread.insert(last_spread.end(), v.begin(), v.end());
    if (h < params.kernel.depth) last_spread.clear();
    phi_spread = e_spread;
    eta_spread = std::move(psi_spread);
    eta_spread.push_back(e_spread);
    for (std::size_t c = 0; c < m; ++c) eta_spread.back()[c] *= sign_phi[c];
    layers.push_back(std::move(layer));
  }
  last_constant = std::move(phi_spread);
}

template <Real T, Backend B>
std::size_t PixelLayers<T, B>::band_rows(const B& backend) const {
  // A device wants whole images at once.
  if constexpr (std::same_as<B, Cuda>) return image.height;
  const std::size_t row = image.width * m * (degree + 3) * sizeof(T);
  return std::clamp<std::size_t>(tile_budget(backend).bytes / row, 1, image.height);
}

template <Real T, Backend B>
std::size_t PixelLayers<T, B>::held_rows(const B& backend) const {
  // A band needs q - 1 rows more than it has, and those below it were made in whole bands.
  const std::size_t band = band_rows(backend);
  const std::size_t needed = 2 * band + q - 2;
  return std::min((needed + band - 1) / band * band, (image.height + band - 1) / band * band);
}

template <Real T, Backend B>
std::size_t PixelLayers<T, B>::image_bytes(const B& backend) const {
  const std::size_t entries = m * image.width;
  const std::size_t fields = 2 * (layers.size() - 1) * held_rows(backend);
  const std::size_t band = band_rows(backend) * (degree + 3);
  const std::size_t numbers = layers.size() * (layers.size() + 3) * image.pixels();
  return sizeof(T) * (entries * (fields + band) + image.pixels() * image.channels * (2 + q * q) + numbers);
}

template class PixelLayers<float, FASTNTK_BACKEND>;
template class PixelLayers<double, FASTNTK_BACKEND>;

}  // namespace fastntk
