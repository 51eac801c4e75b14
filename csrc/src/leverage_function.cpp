// Quadratic forms of random features: v^T (K + lambda I)^-1 v for the vectors v = (phi(x_1, w)_k, ..., phi(x_n, w)_k) of a
// direction w, tile by tile of directions and block by block of the rows of x.
//
// A form is the difference of numbers up to |K|/lambda times as large as itself, whatever its matrix comes from: it is what
// (K + lambda I)^-1 leaves of v, and v mostly lies where the kernel is large. So sums over a block are taken in T, and those
// over blocks in double: what is left is the rounding of the matrix itself. A factor, |L^T v|^2, would not be better, as its
// matrix is rounded too, and breaks down where rounding has left the matrix indefinite; here such a form is at most cut off
// at 0.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>
#include <fastntk/leverage.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "leverage_forms.hpp"
#include "primitives.hpp"
#include "projection.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Rows of x in a block: enough that sums over blocks, which pass through memory, cost little beside a block's products; and
// few enough for sums in float32.
template <Backend B>
constexpr std::size_t block_rows = std::same_as<B, Cpu> ? 1024 : 2048;

// One entry phi(x, w)_k of the features as a function of x: f(w.x), times x_column where it is gated.
struct Component {
  enum class Kind { step, relu, gated, cosine, sine };
  Kind kind;
  std::size_t column = 0;
};

bool has_gates(FeatureFamily family) { return family == FeatureFamily::ntk || family == FeatureFamily::relu_ntk; }

// The components of a family: all of them, or of the gated ones a single one that stands for all, which differ in x only.
std::vector<Component> components(FeatureFamily family, std::size_t gated) {
  using Kind = Component::Kind;
  if (family == FeatureFamily::arc_cosine_0) return {{Kind::step}};
  if (family == FeatureFamily::arc_cosine_1) return {{Kind::relu}};
  if (family == FeatureFamily::fourier) return {{Kind::cosine}, {Kind::sine}};
  std::vector<Component> all;
  if (family == FeatureFamily::relu_ntk) all.push_back({Kind::relu});
  for (std::size_t j = 0; j < gated; ++j) all.push_back({Kind::gated, j});
  return all;
}

double scale_of(FeatureFamily family) {
  return family == FeatureFamily::ntk || family == FeatureFamily::fourier ? 1 : std::numbers::sqrt2;
}

template <Real T, Backend B>
Array<T, B> transposed(const B& backend, View<const T, B> in) {
  Array<T, B> out(backend, in.cols, in.rows);
  Tile<B> tile(backend);
  transpose<T, B>(tile, in, out.view(), false);
  return out;
}

}  // namespace

template <Real T, Backend B>
struct LeverageFunction<T, B>::State {
  // Some rows of x, from `first` on, and what belongs to them of the matrices.
  struct Block {
    std::size_t first, count;
    ProjectionMatrix<T, B> points;   // w -> w.x_i
    std::vector<Array<T, B>> x;      // features: x^T, where it gates
    ProjectionMatrix<T, B> factor;   // features: v -> v U
    ProjectionMatrix<T, B> inverse;  // exact: v -> v A of the columns up to the block's last, those before it twice
    ProjectionMatrix<T, B> gated;    // exact: the same of A o X X^T, the forms of all gated components together
  };

  State(const LeverageParams& params, LeverageInverse kind, View<const T, B> x, View<const T, B> matrix, const B& backend);
  void add_inverse(const B& backend, View<const T, B> x, View<const T, B> matrix, Block& block) const;
  std::size_t tile_rows(const B& backend) const;
  std::size_t most_rows(const B& backend) const;

  void apply(Tile<B>& tile, View<const T, B> w, View<T, B> out) const;
  void features(Tile<B>& tile, View<const T, B> w, const Block& block, std::size_t first, std::size_t count,
                View<T, B> v) const;
  void add_exact(Tile<B>& tile, View<const T, B> w, double* total) const;
  void add_factored(Tile<B>& tile, View<const T, B> w, double* total) const;

  LeverageParams params;
  LeverageInverse kind;
  std::size_t n, d, width;  // width: columns of U
  std::vector<Component> parts;
  std::vector<Block> blocks;
};

template <Real T, Backend B>
LeverageFunction<T, B>::State::State(const LeverageParams& p, LeverageInverse inverse, View<const T, B> x,
                                     View<const T, B> matrix, const B& backend)
    : params(p), kind(inverse), n(x.rows), d(x.cols), width(matrix.cols) {
  require_size(n, "LeverageFunction: the number of rows of x");
  require_size(d, "LeverageFunction: the number of columns of x");
  require(params.alpha > 0 && std::isfinite(params.alpha), [&] {
    return "LeverageFunction: alpha is " + std::to_string(params.alpha) + "; a positive finite number is needed";
  });
  const bool exact = kind == LeverageInverse::exact;
  if (exact) {
    require_shape(matrix, n, n, "LeverageFunction: the inverse");
  } else {
    require_shape(matrix, n, width, "LeverageFunction: U");
    require_size(width, "LeverageFunction: the number of columns of U");
  }
  parts = components(params.family, exact ? 1 : d);
  for (std::size_t first = 0; first < n; first += block_rows<B>) {
    Block block{first, std::min(block_rows<B>, n - first), {}, {}, {}, {}, {}};
    const View<const T, B> rows = x.row_block(first, block.count);
    block.points = ProjectionMatrix<T, B>(backend, rows);
    if (exact) {
      add_inverse(backend, x, matrix, block);
    } else {
      if (has_gates(params.family)) block.x.push_back(transposed<T, B>(backend, rows));
      const Array<T, B> columns = transposed<T, B>(backend, matrix.row_block(first, block.count));
      block.factor = ProjectionMatrix<T, B>(backend, columns.view());
    }
    blocks.push_back(std::move(block));
  }
}

// A form of a symmetric matrix is that of its blocks on and, twice, those beside the diagonal on one side.
template <Real T, Backend B>
void LeverageFunction<T, B>::State::add_inverse(const B& backend, View<const T, B> x, View<const T, B> matrix,
                                                Block& block) const {
  const std::size_t end = block.first + block.count;
  const View<const T, B> columns = matrix.block(0, end, block.first, block.count);
  Array<T, B> weighted(backend, end, block.count);
  const auto weigh = [&](View<const T, B> gram) {
    const View<T, B> out = weighted.view();
    for_tiles<B>(backend, end, rows_per_tile<T>(backend, 3 * block.count), [&](Tile<B>& tile, RowRange r) {
      const std::size_t before = std::min(r.count, block.first - std::min(block.first, r.begin));
      const auto part = [&](std::size_t first, std::size_t count, T scale) {
        if (count > 0)
          multiply<T, B>(tile, columns.row_block(first, count),
                         gram.data ? gram.row_block(first, count) : View<const T, B>(), scale, false,
                         out.row_block(first, count));
      };
      part(r.begin, before, T(2));
      part(r.begin + before, r.count - before, T(1));
    });
    return ProjectionMatrix<T, B>(backend, std::as_const(weighted).view());
  };
  if (params.family != FeatureFamily::ntk) block.inverse = weigh({});
  if (has_gates(params.family)) {
    Array<T, B> gram(backend, end, block.count);
    linear_kernel<T, B>(backend, x.row_block(0, end), x.row_block(block.first, block.count), gram.view());
    block.gated = weigh(std::as_const(gram).view());
  }
}

// Vectors v that are worked on together.
template <Real T, Backend B>
std::size_t LeverageFunction<T, B>::State::most_rows(const B& backend) const {
  const std::size_t columns = kind == LeverageInverse::exact ? n : block_rows<B>;
  if constexpr (std::same_as<B, Cpu>) {
    // The matrices come from far away once a tile; v of a block stays in the second-level cache.
    return 96;
  } else {
    const std::size_t bytes = sizeof(T) * 2 * (columns + width) + sizeof(double) * width;
    return std::max<std::size_t>(tile_budget(backend).streamed_bytes / bytes, 1);
  }
}

template <Real T, Backend B>
std::size_t LeverageFunction<T, B>::State::tile_rows(const B& backend) const {
  const std::size_t together = kind == LeverageInverse::exact ? 1 : parts.size();
  return std::max<std::size_t>(most_rows(backend) / together, 1);
}

// Row p * w.rows + c of v is component first + p of direction c, on the rows of the block.
template <Real T, Backend B>
void LeverageFunction<T, B>::State::features(Tile<B>& tile, View<const T, B> w, const Block& block, std::size_t first,
                                             std::size_t count, View<T, B> v) const {
  const typename Tile<B>::Scope scope(tile);
  using Kind = Component::Kind;
  using Function = typename Activation<T>::Kind;
  const auto scale = static_cast<T>(scale_of(params.family));
  View<T, B> gates;
  for (std::size_t p = 0; p < count; ++p) {
    const Component part = parts[first + p];
    const View<T, B> rows = v.row_block(p * w.rows, w.rows);
    const auto evaluate = [&](Function f, View<T, B> out) { project_all<T, B>(tile, w, block.points, {f, scale}, out); };
    if (part.kind == Kind::relu) {
      evaluate(Function::relu, rows);
    } else if (part.kind == Kind::cosine || part.kind == Kind::sine) {
      evaluate(Function::identity, rows);
      forms::apply_wave<T, B>(tile, part.kind == Kind::sine, rows);
    } else if (part.kind == Kind::step || kind == LeverageInverse::exact) {
      evaluate(Function::step, rows);  // what gates the components of `gated`
    } else {
      if (!gates.data) {
        gates = tile.template scratch<T>(w.rows, block.count);
        evaluate(Function::step, gates);
      }
      const View<const T, B> x(block.x[0].view().row(part.column), w.rows, block.count, 0);
      multiply<T, B>(tile, x, gates, T(1), false, rows);
    }
  }
}

template <Real T, Backend B>
void LeverageFunction<T, B>::State::add_exact(Tile<B>& tile, View<const T, B> w, double* total) const {
  constexpr std::size_t panel = ProjectionMatrix<T, B>::panel;
  const std::size_t most = std::min(panel, n);
  const View<T, B> v = tile.template scratch<T>(w.rows, n);
  const View<T, B> product = tile.template scratch<T>(w.rows, most);
  const View<double, B> sums = tile.template scratch<double>(w.rows, (most + forms::lanes - 1) / forms::lanes);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    forms::set_to_zero(tile, sums);
    for (const Block& block : blocks) {
      const View<T, B> part = v.col_block(block.first, block.count);
      features(tile, w, block, p, 1, part);
      const auto& matrix = parts[p].kind == Component::Kind::gated ? block.gated : block.inverse;
      for (std::size_t first = 0; first < matrix.cols(); first += panel) {
        const View<T, B> out = product.col_block(0, std::min(panel, matrix.cols() - first));
        project<T, B>(tile, part, matrix, first, {}, out);
        forms::add_dots<T, B>(tile, out, v.col_block(first, out.cols), sums);
      }
    }
    forms::add_row_sums<B>(tile, sums, total);
  }
}

template <Real T, Backend B>
void LeverageFunction<T, B>::State::add_factored(Tile<B>& tile, View<const T, B> w, double* total) const {
  constexpr std::size_t panel = ProjectionMatrix<T, B>::panel;
  const std::size_t most = std::max<std::size_t>(most_rows(tile.backend()) / w.rows, 1);
  for (std::size_t first = 0; first < parts.size(); first += most) {
    const typename Tile<B>::Scope scope(tile);
    const std::size_t count = std::min(most, parts.size() - first);
    const std::size_t rows = count * w.rows;
    const View<T, B> v = tile.template scratch<T>(rows, std::min(block_rows<B>, n));
    const View<T, B> product = tile.template scratch<T>(rows, std::min(panel, width));
    const View<T, B> square = tile.template scratch<T>(1, rows);
    const View<double, B> squares = tile.template scratch<double>(1, rows);
    const View<double, B> sums = tile.template scratch<double>(rows, width);
    forms::set_to_zero(tile, squares);
    forms::set_to_zero(tile, sums);
    for (const Block& block : blocks) {
      const View<T, B> part = v.col_block(0, block.count);
      features(tile, w, block, first, count, part);
      row_squares<T, B>(tile, part, square.data);
      forms::add_to_sums<T, B>(tile, square, squares);
      for (std::size_t column = 0; column < width; column += panel) {
        const View<T, B> out = product.col_block(0, std::min(panel, width - column));
        project<T, B>(tile, part, block.factor, column, {}, out);
        forms::add_to_sums<T, B>(tile, out, sums.col_block(column, out.cols));
      }
    }
    forms::add_remainders<B>(tile, squares.data, sums, w.rows, total);
  }
}

template <Real T, Backend B>
void LeverageFunction<T, B>::State::apply(Tile<B>& tile, View<const T, B> w, View<T, B> out) const {
  const View<double, B> total = tile.template scratch<double>(1, w.rows);
  forms::set_to_zero(tile, total);
  if (kind == LeverageInverse::exact) {
    add_exact(tile, w, total.data);
  } else {
    add_factored(tile, w, total.data);
  }
  forms::finish_forms<T, B>(tile, total.data, kind == LeverageInverse::exact ? 1 : 1 / params.alpha, out);
}

template <Real T, Backend B>
LeverageFunction<T, B>::LeverageFunction(const LeverageParams& params, LeverageInverse kind, View<const T, B> x,
                                         View<const T, B> matrix, const B& backend)
    : state_(std::make_shared<State>(params, kind, x, matrix, backend)), backend_(backend) {
  finish(backend);
}

template <Real T, Backend B>
LeverageFunction<T, B>::LeverageFunction(std::shared_ptr<const State> state, const B& backend)
    : state_(std::move(state)), backend_(backend) {}

template <Real T, Backend B>
LeverageFunction<T, B> LeverageFunction<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "LeverageFunction: on");
  return LeverageFunction(state_, backend);
}

template <Real T, Backend B>
void LeverageFunction<T, B>::operator()(View<const T, B> w, View<T, B> out) const {
  require_shape(w, w.rows, state_->d, "LeverageFunction: w");
  require_shape(out, w.rows, 1, "LeverageFunction: out");
  for_tiles<B>(backend_, w.rows, state_->tile_rows(backend_), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, w.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class LeverageFunction<float, FASTNTK_BACKEND>;
template class LeverageFunction<double, FASTNTK_BACKEND>;

}  // namespace fastntk
