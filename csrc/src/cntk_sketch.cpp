#include "cntk_sketch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "tiling.hpp"

namespace fastntk {
namespace {

enum Part : std::uint64_t { columns_part = 1 << 20 };  // beyond every layer's

// What its seed is split into.
enum ColumnsPart : std::uint64_t { shifts_part = 1, linear_part, product_part, last_part, signs_part };

// Numbers have columns of their own where those are a small share.
constexpr std::size_t columns_per_number = 8;

// The constants of the random columns, padded with zeros.
template <Real T>
struct HostColumns {
  // `scales` are the sizes of linear, product and last.
  HostColumns(std::uint64_t seed, std::size_t count, std::size_t padded, std::size_t m, const std::array<double, 3>& scales)
      : shift((padded + m - 1) / m) {
    const rng::Draws shifts{rng::child_seed(seed, shifts_part), rng::Stream::sample};
    for (std::size_t l = 0; l < shift.size(); ++l)
      shift[l] = static_cast<std::uint32_t>(fold_group) * shifts.integer(l, static_cast<std::uint32_t>(m / fold_group));
    const auto weights = [&](ColumnsPart part, double scale) {
      const rng::Draws draws{rng::child_seed(seed, part), rng::Stream::sign};
      std::vector<T> values(padded);
      for (std::size_t c = 0; c < count; ++c) values[c] = static_cast<T>(scale * draws.sign(c));
      return values;
    };
    linear = weights(linear_part, scales[0]);
    product = weights(product_part, scales[1]);
    last = weights(last_part, scales[2]);
  }

  std::vector<std::uint32_t> shift;
  std::vector<T> linear, product, last;
};

// What the numbers, as sums over the pixels, make of the random columns, with minus: (numbers, columns).
template <Real T, Backend B>
std::vector<T> spread_numbers(const PixelLayers<T, B>& layers, const NumberColumns& numbers, const HostColumns<T>& columns) {
  const std::size_t m = layers.m, count = columns.linear.size();
  const double filter = static_cast<double>(layers.q);
  std::vector<T> part;
  for (std::size_t j = 0; j < numbers.of_psi; ++j)
    for (std::size_t c = 0; c < count; ++c)
      part.push_back(static_cast<T>(-filter * columns.linear[c] * layers.last_spread[j * m + c % m]));
  for (std::size_t j = 0; j < numbers.of_phi; ++j)
    for (std::size_t c = 0; c < count; ++c)
      part.push_back(static_cast<T>(-layers.last().root_a0 / filter * columns.last[c] * layers.last_constant[c % m]));
  return part;
}

// (x, bias)/norm as pixels of all channels, mirrored or not.
template <Real T, Backend B>
void to_pixels(Tile<B>& tile, const ImageShape& image, std::size_t own_channels, bool mirrored, View<const T, B> unit,
               View<T, B> pixels) {
  const std::size_t per_image = image.pixels(), width = image.width;
  for_each(tile, pixels.rows, [=] FASTNTK_FORMULA(std::size_t row) {
    const std::size_t b = row / per_image, p = row % per_image;
    const std::size_t from = mirrored ? p / width * width + (width - 1 - p % width) : p;
    for (std::size_t c = 0; c < pixels.cols; ++c)
      pixels(row, c) = c < own_channels ? unit(b, from * own_channels + c) : unit(b, unit.cols - 1);
  });
}

template <Real T, Backend B>
void clear(Tile<B>& tile, View<T, B> v) {
  for_each(tile, v.rows * v.cols, [=] FASTNTK_FORMULA(std::size_t i) { v(i / v.cols, i % v.cols) = 0; });
}

// numbers[b] += the sum of the values of the pixels of image b.
template <Real T, Backend B>
void add_sums(Tile<B>& tile, std::size_t pixels, View<const T, B> values, View<T, B> numbers) {
  const std::size_t terms = values.cols;
  for_each(tile, numbers.rows * terms, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t b = index / terms, j = index % terms;
    T sum = 0;
    for (std::size_t p = 0; p < pixels; ++p) sum += values(b * pixels + p, j);
    numbers(b, j) += sum;
  });
}

// factor = norm, times what makes the rows' squares those of theta.
template <Real T, Backend B>
void diagonal_factors(Tile<B>& tile, const T* norm, const T* square, const T* theta, T* factor, std::size_t rows) {
  for_each(tile, rows, [=] FASTNTK_FORMULA(std::size_t r) {
    factor[r] = square[r] > 0 && theta[r] > 0 ? norm[r] * std::sqrt(theta[r] / square[r]) : T(0);
  });
}

template <Real T, Backend B>
void average(Tile<B>& tile, T* a, const T* b, std::size_t count) {
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t i) { a[i] = (a[i] + b[i]) / 2; });
}

template <Real T, Backend B>
void scale_vector(Tile<B>& tile, T scale, T* v, std::size_t count) {
  for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t i) { v[i] *= scale; });
}

}  // namespace

template <Real T, Backend B>
CntkSketch<T, B>::State::State(const CntkSketchParams& p, const B& backend)
    : params(resolved_cntk_sketch(p)), layers(params, backend) {
  require_finite<T>(params.kernel.bias, "CntkSketch: bias");
  if (params.diagonal == Diagonal::exact) {
    CntkParams seen = params.kernel;
    seen.image = layers.image;
    seen.bias = 0;
    diagonal.emplace(seen, "CntkSketch");
  }
  const bool gap = params.kernel.pooling == Pooling::gap;
  const PixelLayer<T, B>& top = layers.last();
  const std::size_t positions = top.height * top.width;
  const std::size_t of_psi = top.has_psi ? top.numbers : 0;
  const std::size_t of_phi = layers.train_last ? 1 : 0;
  const bool own_columns = gap && (of_psi + of_phi) * columns_per_number <= params.out_features;
  exact = own_columns ? NumberColumns{of_psi, of_phi} : NumberColumns{};
  random_columns = params.out_features - exact.count();
  padded_columns = (random_columns + fold_group - 1) / fold_group * fold_group;

  const double pixels = static_cast<double>(positions);
  const double filter = static_cast<double>(layers.q);
  const double mean = gap ? 1 / pixels : 1 / std::sqrt(pixels);
  // psi's numbers are q times the patch means, and the last layer's features have them times sqrt(b_0)/q.
  psi_scale = static_cast<T>(top.root_b0 * mean);
  phi_scale = static_cast<T>(top.root_a0 / filter * mean);

  const std::uint64_t seed = rng::child_seed(params.seed, columns_part);
  const double scale = mean * std::sqrt(static_cast<double>(layers.m) / static_cast<double>(random_columns));
  const HostColumns<T> drawn(seed, random_columns, padded_columns, layers.m, {scale * top.root_b0 / filter, scale, scale});
  shift = Buffer<std::uint32_t, B>(backend, drawn.shift);
  linear = Buffer<T, B>(backend, drawn.linear);
  product = Buffer<T, B>(backend, drawn.product);
  last = Buffer<T, B>(backend, drawn.last);
  sign_words = (padded_columns + 31) / 32;
  if (!gap) signs = draw_signs(backend, rng::child_seed(seed, signs_part), positions * sign_words * 32);
  exact_part = Buffer<T, B>(backend, spread_numbers(layers, exact, drawn));
}

template <Real T, Backend B>
std::size_t CntkSketch<T, B>::State::tile_rows(const B& backend) const {
  if constexpr (std::same_as<B, Cpu>) return 1;  // an image is more than a cache holds
  const TileBudget budget = tile_budget(backend);
  const std::size_t mirrored = params.average_flips ? layers.image.features() : 0;
  const std::size_t bytes = layers.image_bytes(backend) + sizeof(T) * (mirrored + padded_columns + params.out_features);
  return std::clamp<std::size_t>(budget.streamed_bytes / bytes, 1, budget.most_rows);
}

template <Real T, Backend B>
PoolColumns<T> CntkSketch<T, B>::State::columns() const {
  const bool gap = params.kernel.pooling == Pooling::gap;
  return {shift.data(), linear.data(), product.data(), last.data(), gap ? nullptr : signs.data(), sign_words};
}

template <Real T, Backend B>
void CntkSketch<T, B>::State::add_image(Tile<B>& tile, std::size_t images, View<const T, B> pixels, View<T, B> sums,
                                        View<T, B> numbers) const {
  const typename Tile<B>::Scope scope(tile);
  const PixelLayer<T, B>& top = layers.last();
  const std::size_t positions = top.height * top.width;
  const PixelMaps<T, B> maps = pixel_maps<T, B>(tile, layers, images, pixels);
  if (exact.of_psi > 0) add_sums<T, B>(tile, positions, maps.numbers.back(), numbers.col_block(0, exact.of_psi));
  if (exact.of_phi > 0)
    add_sums<T, B>(tile, positions, View<const T, B>(maps.norm.back(), images * positions, 1),
                   numbers.col_block(exact.of_psi, exact.of_phi));
  const auto take = [&](const PixelBand<T, B>& band) {
    pool_columns<T, B>(tile, columns(), band.first_row * top.width, band.rows * top.width, band.psi, band.phi, band.gate,
                       sums);
  };
  for_bands<T, B>(tile, layers, images, pixels, maps, take);
}

template <Real T, Backend B>
void CntkSketch<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = x.rows, own_channels = params.kernel.image.channels;
  const bool with_bias = params.kernel.bias != 0;
  const View<T, B> unit = tile.template scratch<T>(rows, x.cols + (with_bias ? 1 : 0));
  const View<T, B> scalars = tile.template scratch<T>(4, rows);
  T *const norm = scalars.row(0), *const square = scalars.row(1), *const theta = scalars.row(2);
  unit_rows<T, B>(tile, x, static_cast<T>(params.kernel.bias), unit, norm);

  const std::size_t image_size = layers.image.features();
  const auto take_images = [&] { return View<T, B>(tile.template scratch<T>(1, rows * image_size).data, rows, image_size); };
  const auto as_pixels = [&](View<T, B> images) {
    return View<T, B>(images.data, rows * layers.image.pixels(), layers.image.channels);
  };
  const View<T, B> images = take_images();
  to_pixels<T, B>(tile, layers.image, own_channels, false, unit, as_pixels(images));
  View<T, B> mirrored;
  if (params.average_flips) {
    mirrored = take_images();
    to_pixels<T, B>(tile, layers.image, own_channels, true, unit, as_pixels(mirrored));
  }

  const View<T, B> sums = tile.template scratch<T>(rows, padded_columns);
  const View<T, B> numbers = tile.template scratch<T>(rows, exact.count());
  clear<T, B>(tile, sums);
  clear<T, B>(tile, numbers);
  add_image(tile, rows, as_pixels(images), sums, numbers);
  if (params.average_flips) add_image(tile, rows, as_pixels(mirrored), sums, numbers);
  if (exact.count() > 0) {
    // The numbers are spread over the random columns too, which have to be without them.
    add_combinations<T, B>(tile, numbers, exact_part.data(), sums);
    const auto copy_scaled = [&](std::size_t first, std::size_t count, T scale) {
      multiply<T, B>(tile, numbers.col_block(first, count), {}, scale, false, out.col_block(first, count));
    };
    copy_scaled(0, exact.of_psi, psi_scale);
    copy_scaled(exact.of_psi, exact.of_phi, phi_scale);
  }
  copy<T, B>(tile, sums.col_block(0, random_columns), out.col_block(exact.count(), random_columns));

  if (diagonal) {
    row_squares<T, B>(tile, out, square);
    diagonal->pairs(tile, images, images, theta);
    if (params.average_flips) {
      T* const across = scalars.row(3);
      diagonal->pairs(tile, images, mirrored, across);
      average<T, B>(tile, theta, across, rows);
    }
    diagonal_factors<T, B>(tile, norm, square, theta, norm, rows);
  } else if (params.average_flips) {
    scale_vector<T, B>(tile, T(0.5), norm, rows);
  }
  scale_rows<T, B>(tile, norm, out, out);
}

template <Real T, Backend B>
CntkSketch<T, B>::CntkSketch(const CntkSketchParams& params, B backend)
    : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
CntkSketch<T, B> CntkSketch<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "CntkSketch: on");
  CntkSketch other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const CntkSketchParams& CntkSketch<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void CntkSketch<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.kernel.image.features(), "CntkSketch: x");
  require_shape(out, x.rows, state_->params.out_features, "CntkSketch: out");
  for_tiles<B>(backend_, x.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class CntkSketch<float, FASTNTK_BACKEND>;
template class CntkSketch<double, FASTNTK_BACKEND>;

}  // namespace fastntk
