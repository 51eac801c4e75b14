#include "model_maps.hpp"

#include <fastntk/error.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/standardize.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tile.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

constexpr std::size_t panel = 576;  // columns of a product at a time: what lies above W's diagonal is left out by panels

/// A matrix in the memory of B with the numbers of one on the host, row by row.
template <Real T, Backend B>
std::shared_ptr<const Array<T, B>> stored(const B& backend, const std::vector<T>& numbers, std::size_t rows,
                                          std::size_t cols) {
  auto out = std::make_shared<Array<T, B>>(backend, rows, cols);
  if (!numbers.empty()) copy_in(backend, numbers.data(), numbers.size() * sizeof(T), out->view().data);
  return out;
}

// Directions of the pool that a map draws from: those with the numbers in `chosen`, which the seed determines.
template <Real T>
std::vector<T> drawn_directions(std::uint64_t seed, std::span<const std::int64_t> chosen, std::size_t width) {
  constexpr std::uint64_t pool = (std::uint64_t{1} << 32) + 2;  // the child of the map's seed; small ones are its layers'
  const rng::Draws draws{rng::child_seed(seed, pool), rng::Stream::normal};
  const std::size_t even = (width + 1) / 2 * 2;  // normals come in pairs
  std::vector<T> out(checked_product(chosen.size(), width));
  for_host_blocks(chosen.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      for (std::size_t j = 0; j < width; ++j)
        out[i * width + j] = static_cast<T>(draws.normal(static_cast<std::uint64_t>(chosen[i]) * even + j));
  });
  return out;
}

template <Real T, Backend B>
RowMap<T, B> random_features(const NtkRandomFeaturesParams& params, const ModelFile& file, const B& backend) {
  if (params.directions != Directions::given) return NtkRandomFeatures<T, B>(params, backend);
  const auto [m_0, m_1] = layered_sizes(params);
  const std::size_t count = m_0 + m_1;
  const ModelTensor& tensor = tensor_of(file, "features.directions", Number::int64, {count});
  const std::span<const std::int64_t> chosen(static_cast<const std::int64_t*>(tensor.data.get()), count);
  constexpr std::int64_t largest_pool = std::int64_t{1} << 31;
  if (!std::ranges::all_of(chosen, [](std::int64_t i) { return i >= 0 && i < largest_pool; }))
    throw ModelFileError("tensor 'features.directions' has a number that no pool of directions has");
  const std::span<const double> weights = finite_numbers<double>(file, "features.weights", {count});
  if (!std::ranges::all_of(weights, [](double w) { return w > 0; }))
    throw ModelFileError("tensor 'features.weights' has a number that is not positive");
  const std::size_t width = params.in_features + (params.bias != 0);
  const auto directions = stored<T>(backend, drawn_directions<T>(params.seed, chosen, width), count, width);
  const auto factors = stored<T>(backend, std::vector<T>(weights.begin(), weights.end()), 1, count);
  return NtkRandomFeatures<T, B>(params, {.directions = directions->view(), .weights = factors->view()}, backend);
}

// `times` copies of the numbers of a tensor in a row.
template <Real T, Backend B>
std::shared_ptr<const Array<T, B>> repeated(const B& backend, const ModelFile& file, const std::string& name,
                                            std::size_t size, std::size_t times) {
  std::vector<T> row;
  row.reserve(checked_product(size, times));
  with_numbers(file, name, {size}, [&](auto numbers) {
    for (std::size_t i = 0; i < times; ++i)
      for (const auto x : numbers) row.push_back(static_cast<T>(x));
  });
  return stored<T>(backend, row, 1, row.size());
}

template <Real T, Backend B>
RowMap<T, B> image_map(const ImageMapParams& params, const ModelFile& file, const B& backend) {
  const CntkSketch<T, B> sketch(params.sketch, backend);
  if (params.standardize == Standardisation::none) return RowMap<T, B>(sketch);
  const ImageShape image = params.sketch.kernel.image;
  const std::size_t d = image.features();
  if (params.standardize == Standardisation::channels) {
    const auto mean = repeated<T>(backend, file, "features.mean", image.channels, image.pixels());
    const auto scale = repeated<T>(backend, file, "features.scale", image.channels, image.pixels());
    return [=](View<const T, B> x, View<T, B> z) {
      Array<T, B> standard(backend, x.rows, d);
      standardize<T, B>(backend, x, mean->view(), scale->view(), standard.view());
      sketch(std::as_const(standard).view(), z);
    };
  }
  const auto mean = repeated<T>(backend, file, "features.mean", d, 1);
  const auto ones = stored<T>(backend, std::vector<T>(d, T(1)), 1, d);
  const auto matrix = with_numbers(file, "features.matrix", {d, d}, [&](auto numbers) {
    return stored<T>(backend, std::vector<T>(numbers.begin(), numbers.end()), d, d);
  });
  return [=](View<const T, B> x, View<T, B> z) {
    Array<T, B> centred(backend, x.rows, d), white(backend, x.rows, d);
    standardize<T, B>(backend, x, mean->view(), ones->view(), centred.view());
    linear_kernel<T, B>(backend, std::as_const(centred).view(), matrix->view(), white.view());
    sketch(std::as_const(white).view(), z);
  };
}

// The rows that a landmark map multiplies with: without bias lengths do not count, and kernels of unit rows are in range.
template <Real T, Real Stored>
std::vector<T> landmark_rows(std::span<const Stored> rows, std::size_t d, bool unit) {
  if (!unit) return std::vector<T>(rows.begin(), rows.end());
  std::vector<T> out(rows.size());
  for (std::size_t first = 0; first < rows.size(); first += d) {
    const std::span<const Stored> row = rows.subspan(first, d);
    double largest = 0, square = 0;
    for (const Stored x : row) largest = std::max(largest, std::abs(static_cast<double>(x)));
    if (largest == 0) continue;
    for (const Stored x : row) square += static_cast<double>(x) / largest * (static_cast<double>(x) / largest);
    const double length = std::sqrt(square);
    for (std::size_t j = 0; j < d; ++j)
      out[first + j] = static_cast<T>(static_cast<Stored>(static_cast<double>(row[j]) / largest / length));
  }
  return out;
}

template <Real T, Backend B>
RowMap<T, B> landmark_map(const LandmarkMapParams& params, const ModelFile& file, const B& backend) {
  const auto found = file.tensors().find("features.landmarks");
  if (found == file.tensors().end() || found->second.shape.size() != 2)
    throw ModelFileError("it has no tensor 'features.landmarks' of two dimensions");
  require_depth(params.kernel.depth, "NystroemNtk: depth");
  require_finite<T>(params.kernel.bias, "NystroemNtk: bias");
  const std::size_t d = params.in_features, r = found->second.shape[0];
  if (r == 0 || r > params.out_features || r >= std::size_t{1} << 31)
    throw ModelFileError("it has " + std::to_string(r) + " landmarks for " + std::to_string(params.out_features) +
                         " features");
  const auto landmarks = with_numbers(file, "features.landmarks", {r, d}, [&](auto rows) {
    return stored<T>(backend, landmark_rows<T>(rows, d, params.kernel.bias == 0), r, d);
  });
  const auto factor = with_numbers(file, "features.factor", {r * (r + 1) / 2}, [&](auto packed) {
    std::vector<T> square(r * r);
    for (std::size_t i = 0; i < r; ++i)
      for (std::size_t j = 0; j <= i; ++j) square[i * r + j] = static_cast<T>(packed[i * (i + 1) / 2 + j]);
    return stored<T>(backend, square, r, r);
  });
  // Columns without a landmark are products with zeros.
  const std::size_t rest = params.out_features - r;
  const auto zeros = stored<T>(backend, std::vector<T>(rest), rest, 1);
  return [=](View<const T, B> x, View<T, B> z) {
    Array<T, B> kernel(backend, x.rows, r);
    const View<const T, B> k = std::as_const(kernel).view(), w = factor->view();
    ntk_kernel<T, B>(backend, x, landmarks->view(), params.kernel, kernel.view());
    for (std::size_t begin = 0; begin < r; begin += panel) {
      const std::size_t count = std::min(panel, r - begin);
      linear_kernel<T, B>(backend, k.col_block(0, begin + count), w.block(begin, count, 0, begin + count),
                          z.col_block(begin, count));
    }
    if (params.exact_diagonal) scale_to_ntk_diagonal<T, B>(backend, x, params.kernel, z.col_block(0, r));
    if (rest > 0) linear_kernel<T, B>(backend, k.col_block(0, 1), zeros->view(), z.col_block(r, rest));
  };
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

template <Real T, Backend B>
RowMap<T, B> row_map(const MapParams& params, const ModelFile& file, const B& backend) {
  using Map = RowMap<T, B>;
  return std::visit(
      Overloaded{[&](const NtkRandomFeaturesParams& p) { return random_features<T, B>(p, file, backend); },
                 [&](const NtkSketchParams& p) -> Map { return NtkSketch<T, B>(p, backend); },
                 [&](const DotProductFeaturesParams& p) -> Map { return DotProductFeatures<T, B>(p, backend); },
                 [&](const DotProductSketchParams& p) -> Map { return DotProductSketch<T, B>(p, backend); },
                 [&](const GradientFeaturesParams& p) -> Map { return GradientFeatures<T, B>(p, backend); },
                 [&](const ImageMapParams& p) { return image_map<T, B>(p, file, backend); },
                 [&](const LandmarkMapParams& p) { return landmark_map<T, B>(p, file, backend); }},
      params);
}

template RowMap<float, FASTNTK_BACKEND> row_map(const MapParams&, const ModelFile&, const FASTNTK_BACKEND&);
template RowMap<double, FASTNTK_BACKEND> row_map(const MapParams&, const ModelFile&, const FASTNTK_BACKEND&);

}  // namespace fastntk
