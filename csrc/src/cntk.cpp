#include "cntk.hpp"

#include <algorithm>
#include <cmath>

#include "tiling.hpp"

namespace fastntk {
namespace {

// means[r][i][j] = the mean of in[r] over the filter at (i, j), for the layer's rows and columns.
template <Backend B>
void filter_means(Tile<B>& tile, const CntkPlan& plan, std::size_t layer, View<double, B> in, View<double, B> work,
                  View<double, B> means) {
  const std::size_t pixels = plan.pixels(), width = plan.width;
  const std::size_t rows_in = plan.height_at(layer - 1), cols_in = plan.width_at(layer - 1);
  const std::size_t rows = plan.height_at(layer), cols = plan.width_at(layer);
  const std::size_t half = plan.same ? plan.filter_size / 2 : 0, q = plan.filter_size;
  for_each(tile, in.rows * pixels, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / pixels, p = index % pixels;
    const std::size_t i = p / width, j = p % width;
    if (i >= rows || j >= cols_in) return;
    const std::size_t end = i + q - half < rows_in ? i + q - half : rows_in;
    double sum = 0;
    for (std::size_t k = i < half ? 0 : i - half; k < end; ++k) sum += in(r, k * width + j);
    work(r, p) = sum;
  });
  const double share = 1 / static_cast<double>(q * q);
  for_each(tile, in.rows * pixels, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / pixels, p = index % pixels;
    const std::size_t i = p / width, j = p % width;
    double sum = 0;
    if (i < rows && j < cols) {
      const std::size_t end = j + q - half < cols_in ? j + q - half : cols_in;
      for (std::size_t k = j < half ? 0 : j - half; k < end; ++k) sum += work(r, i * width + k);
    }
    means(r, p) = share * sum;
  });
}

}  // namespace

template <Real T, Backend B>
CntkRecursion<T, B>::CntkRecursion(const CntkParams& params, const std::string& caller)
    : plan_(cntk_plan(params, caller)), params_(params) {
  require_finite<T>(params.bias, caller + ": bias");
}

template <Real T, Backend B>
CntkImages<T, B> CntkRecursion<T, B>::prepare(Tile<B>& tile, View<const T, B> x) const {
  const std::size_t n = x.rows, pixels = plan_.pixels(), features = x.cols;
  const std::size_t channels = plan_.channels, own_channels = params_.image.channels;
  const View<double, B> maps = tile.template scratch<double>(n, plan_.image_size());
  T* const norm = tile.template scratch<T>(1, n).data;
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> unit = tile.template scratch<T>(n, features + (params_.bias != 0));
  const View<double, B> mean = tile.template scratch<double>(n, pixels);
  const View<double, B> work = tile.template scratch<double>(n, pixels);
  unit_rows<T, B>(tile, x, static_cast<T>(params_.bias), unit, norm);
  for_each(tile, n * pixels, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t r = index / pixels, p = index % pixels;
    double square = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double value = c < own_channels ? unit(r, p * own_channels + c) : unit(r, features);
      maps(r, c * pixels + p) = value;
      square += value * value;
    }
    mean(r, p) = square;
  });
  for (std::size_t layer = 1; layer <= plan_.depth; ++layer) {
    filter_means<B>(tile, plan_, layer, mean, work, mean);
    const std::size_t first = plan_.root_map(layer);
    for_each(tile, n * pixels, [=] FASTNTK_FORMULA(std::size_t index) {
      const std::size_t r = index / pixels, p = index % pixels;
      maps(r, first + p) = std::sqrt(mean(r, p));
    });
  }
  return {maps, norm};
}

template <Real T, Backend B>
std::size_t CntkRecursion<T, B>::images_per_tile(const B& backend) const {
  // A device takes what fills it. On the CPU, with pooling, preparing images is nothing beside their pairs, and a tile of
  // few leaves every thread some; without pooling an image should serve several pairs, but not take more than 16 MB.
  constexpr bool device = std::same_as<B, Cuda>;
  const std::size_t most = device ? 128 : plan_.gap ? 2 : 16;
  const std::size_t budget = device ? tile_budget(backend).bytes : std::size_t{16} << 20;
  const std::size_t bytes = (plan_.image_size() + 4 * plan_.pixels()) * sizeof(double);
  return std::clamp<std::size_t>(budget / (2 * bytes), 1, most);
}

template <Real T, Backend B>
void CntkRecursion<T, B>::pairs(Tile<B>& tile, View<const T, B> x, View<const T, B> y, T* theta) const {
  const std::size_t step = images_per_tile(tile.backend());
  for (std::size_t begin = 0; begin < x.rows; begin += step) {
    const typename Tile<B>::Scope scope(tile);
    const std::size_t count = std::min(step, x.rows - begin);
    const CntkImages<T, B> left = prepare(tile, x.row_block(begin, count));
    const CntkImages<T, B> right = same_rows(x, y) ? left : prepare(tile, y.row_block(begin, count));
    const View<double, B> value(tile.template scratch<double>(1, count).data, count, 1);
    cntk_theta<T, B>(tile, plan_, left.maps, right.maps, RowPairs::equal_rows, value);
    T* const out = theta + begin;
    for_each(tile, count, [=] FASTNTK_FORMULA(std::size_t r) {
      out[r] = static_cast<T>(static_cast<double>(left.norm[r]) * static_cast<double>(right.norm[r]) * value(r, 0));
    });
  }
}

namespace {

template <Real T, Backend B>
void require_images(const CntkParams& p, View<const T, B> x, const std::string& name) {
  require(x.cols == p.image.features(), [&] {
    return name + " has " + std::to_string(x.cols) + " columns; images of " + std::to_string(p.image.height) + " x " +
           std::to_string(p.image.width) + " pixels with " + std::to_string(p.image.channels) + " channels have " +
           std::to_string(p.image.features());
  });
}

/// The kernel matrix in square blocks: all of them, or those on and above the diagonal.
struct Blocks {
  std::size_t rows, cols;  // in blocks
  bool symmetric;

  struct Place {
    std::size_t row, col;
  };

  // Above the diagonal rows r and rows - 1 - r are rows + 1 long together: they are numbered as one.
  std::size_t count() const { return symmetric ? (rows + 1) / 2 * (rows + 1) : rows * cols; }
  /// Of the middle row of an odd number only the first half is needed; the other half is outside.
  Place at(std::size_t index) const {
    if (!symmetric) return {index / cols, index % cols};
    const std::size_t r = index / (rows + 1), c = index % (rows + 1);
    if (c < rows - r) return {r, r + c};
    const std::size_t mirrored = rows - 1 - r;
    return mirrored == r ? Place{rows, rows} : Place{mirrored, c - 1};
  }
};

}  // namespace

template <Real T, Backend B>
void cntk_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const CntkParams& params, View<T, B> out) {
  const CntkRecursion<T, B> recursion(params, "cntk_kernel");
  require_images(params, x, "cntk_kernel: x");
  require_images(params, y, "cntk_kernel: y");
  require_shape(out, x.rows, y.rows, "cntk_kernel: out");
  const bool symmetric = same_rows(x, y);
  const std::size_t edge = recursion.images_per_tile(backend);
  const Blocks blocks{(x.rows + edge - 1) / edge, (y.rows + edge - 1) / edge, symmetric};
  for_tiles<B>(backend, blocks.count(), 1, [&](Tile<B>& tile, RowRange range) {
    const Blocks::Place block = blocks.at(range.begin);
    if (block.row == blocks.rows) return;
    const RowRange row{block.row * edge, std::min(edge, x.rows - block.row * edge)};
    const RowRange col{block.col * edge, std::min(edge, y.rows - block.col * edge)};
    const std::size_t rows = row.count, cols = col.count;
    const bool on_diagonal = symmetric && block.row == block.col;
    const CntkImages<T, B> left = recursion.prepare(tile, x.row_block(row.begin, rows));
    const CntkImages<T, B> right = on_diagonal ? left : recursion.prepare(tile, y.row_block(col.begin, cols));
    const View<double, B> theta = tile.template scratch<double>(rows, cols);
    cntk_theta<T, B>(tile, recursion.plan(), left.maps, right.maps, on_diagonal ? RowPairs::from_diagonal : RowPairs::all,
                     theta);
    const View<T, B> here = out.block(row.begin, rows, col.begin, cols);
    const View<T, B> mirrored = symmetric ? out.block(col.begin, cols, row.begin, rows) : View<T, B>();
    for_each(tile, rows * cols, [=] FASTNTK_FORMULA(std::size_t index) {
      const std::size_t i = index / cols, j = index % cols;
      if (on_diagonal && i > j) return;
      const auto scale = static_cast<double>(left.norm[i]) * static_cast<double>(right.norm[j]);
      const T value = static_cast<T>(scale * theta(i, j));
      here(i, j) = value;
      if (symmetric) mirrored(j, i) = value;
    });
  });
}

template <Real T, Backend B>
void cntk_pairs(const B& backend, View<const T, B> x, View<const T, B> y, const CntkParams& params, View<T, B> out) {
  const CntkRecursion<T, B> recursion(params, "cntk_pairs");
  require_images(params, x, "cntk_pairs: x");
  require_shape(y, x.rows, x.cols, "cntk_pairs: y");
  require_shape(out, x.rows, 1, "cntk_pairs: out");
  const bool same = same_rows(x, y);
  for_tiles<B>(backend, x.rows, recursion.images_per_tile(backend), [&](Tile<B>& tile, RowRange r) {
    const typename Tile<B>::Scope scope(tile);
    const View<const T, B> left = x.row_block(r.begin, r.count);
    const View<const T, B> right = same ? left : y.row_block(r.begin, r.count);
    T* const theta = tile.template scratch<T>(1, r.count).data;
    recursion.pairs(tile, left, right, theta);
    const View<T, B> to = out.row_block(r.begin, r.count);
    for_each(tile, r.count, [=] FASTNTK_FORMULA(std::size_t i) { to(i, 0) = theta[i]; });
  });
}

#define FASTNTK_INSTANTIATE(T)                                                                                      \
  template class CntkRecursion<T, FASTNTK_BACKEND>;                                                                 \
  template void cntk_kernel(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>, \
                            const CntkParams&, View<T, FASTNTK_BACKEND>);                                           \
  template void cntk_pairs(const FASTNTK_BACKEND&, View<const T, FASTNTK_BACKEND>, View<const T, FASTNTK_BACKEND>,  \
                           const CntkParams&, View<T, FASTNTK_BACKEND>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
