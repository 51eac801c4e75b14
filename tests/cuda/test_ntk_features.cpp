// Features of the neural tangent kernel on the device: the dual activation, whole rows in one pass and step by step, and the
// maps.
#include <fastntk/ntk_features.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "../../csrc/src/ntk_features.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::Diagonal;
using fastntk::Directions;
using fastntk::DirectionSet;
using fastntk::DualActivation;
using fastntk::DualFeatures;
using fastntk::DualTable;
using fastntk::LowOrders;
using fastntk::NtkRandomFeatures;
using fastntk::NtkRandomFeaturesParams;
using fastntk::Tile;
using fastntk::View;
using sketches::Matrix;

template <class T>
constexpr double eps = static_cast<double>(std::numeric_limits<T>::epsilon());

// What rounding may change in g(u) by evaluating it, and its values within `near` of u: the function has a logarithm and a
// step at 0, and small jumps between its cubics.
struct Range {
  double low, high;
};

template <class T>
Range range_of(const DualActivation& g, double u, double near) {
  // DualActivation is defined off 0; what comes for 0 may be of either side.
  constexpr double tiny = 1e-300;
  const double middle = u == 0 ? tiny : u;
  Range r{g(middle), g(middle)};
  const auto include = [&](double at) {
    r.low = std::min(r.low, g(at));
    r.high = std::max(r.high, g(at));
  };
  include(middle - near);
  include(middle + near);
  if (std::abs(u) <= near) {
    include(tiny);
    include(-tiny);
  }
  const double v = std::abs(u) + near;
  double terms = 0;
  for (const auto& side : g.cubic) {
    double power = 1;
    for (const auto& p : side) {
      terms = std::max(terms, std::abs(p[DualActivation::segment(v)]) * power);
      power *= v;
    }
  }
  // A coefficient's rounding, and one for each of three products and sums, of four terms at most.
  const double rounding = 4 * 4 * eps<T> * terms;
  return {r.low - rounding, r.high + rounding};
}

template <class T>
void check_dual_features(std::size_t depth, std::size_t low_orders) {
  const DualActivation g = fastntk::dual_activation(fastntk::CosineKernel::ntk, depth, low_orders);
  const DualTable<T, Cuda> table(Cuda(), g);
  Tile<Cuda> tile{Cuda()};
  for (const std::size_t cols : {1, 33, 600, 1300})
    for (const std::size_t gap : {0, 3}) {
      Matrix<T> x = sketches::random_rows<T>(4, cols, depth);
      for (std::size_t j = 0; j < cols; ++j) {
        x(0, j) *= 4;
        x(1, j) *= static_cast<T>(std::exp2(-static_cast<double>(j % 40)));
        x(2, j) = static_cast<T>(std::exp2(static_cast<double>(j % 16) / 2 - 6));  // borders of half-octaves
      }
      x(3, 0) = 0;
      x(3, cols - 1) = static_cast<T>(-0.0);
      Guarded<T> z(x, gap);
      const Matrix<T> before = sketches::random_rows<T>(1, 4, 5);
      DeviceMatrix<T> square(before);
      fastntk::dual_features<T, Cuda>(tile, table, z.view(), square.view().data);
      const Matrix<T> found = z.to_host();
      const Matrix<T> squares = square.to_host();
      for (std::size_t r = 0; r < 4; ++r) {
        double sum = 0;
        for (std::size_t j = 0; j < cols; ++j) {
          const auto [low, high] = range_of<T>(g, static_cast<double>(x(r, j)), 0);
          const auto value = static_cast<double>(found(r, j));
          CHECK(value >= low && value <= high);
          sum += value * value;
        }
        CHECK_CLOSE(squares(0, r), static_cast<double>(before(0, r)) + sum,
                    static_cast<double>(cols + 2) * eps<T> * (sum + 1));
      }
    }
}

TEST(dual_features) {
  for (const std::size_t depth : {1, 3})
    for (const std::size_t low_orders : {0, 2}) {
      check_dual_features<float>(depth, low_orders);
      check_dual_features<double>(depth, low_orders);
    }
}

// What DualFeatures may give: from directions and activation in double, and what rounding in T may do to them.
template <class T>
struct Reference {
  Reference(const NtkRandomFeaturesParams& p, std::size_t d)
      : params(p),
        exact_columns(p.low_orders == LowOrders::exact ? 1 + d
                      : p.out_features > 1             ? 1
                                                       : 0),
        g(fastntk::dual_activation(fastntk::CosineKernel::ntk, p.depth, std::min<std::size_t>(exact_columns, 2))),
        directions(Cpu(), p.directions == Directions::structured ? p.directions : Directions::gaussian, d,
                   p.out_features - exact_columns, fastntk::rng::child_seed(p.seed, 1)) {}

  // An error of the projection: as in rotated_hadamard above, with a direction's length of at most sqrt(n) + 6, or of a
  // chain of d sums.
  double near() const {
    const auto d = static_cast<double>(directions.in_features());
    const auto n = static_cast<double>(directions.panel());
    const double roundings = directions.length() ? 3 * (std::log2(n) + 4) : d + 4;
    return roundings * eps<T> * (std::sqrt(directions.length() ? n : d) + 6);
  }

  // Whether out, a row of features, is what unit and norm give.
  bool holds(const T* unit, T norm, const T* out) const {
    const std::size_t d = directions.in_features();
    const std::size_t m = directions.size();
    const auto size = static_cast<double>(norm);
    Matrix<double> x(1, d);
    for (std::size_t i = 0; i < d; ++i) x(0, i) = static_cast<double>(unit[i]);
    Matrix<double> u(1, m);
    Tile<Cpu> tile{Cpu()};
    for (std::size_t first = 0; first < m; first += directions.panel())
      directions.apply(tile, x.view(), first, {}, u.view().col_block(first, std::min(directions.panel(), m - first)));
    std::vector<Range> ranges(m);
    double least = 0, most = 0;  // of the sum of squares
    for (std::size_t j = 0; j < m; ++j) {
      const Range r = range_of<T>(g, u(0, j), near());
      ranges[j] = r;
      most += std::max(r.low * r.low, r.high * r.high);
      if (r.low * r.high > 0) least += std::min(r.low * r.low, r.high * r.high);
    }
    const double sums = 1 + static_cast<double>(m + 8) * eps<T>;
    const bool exact = params.diagonal == Diagonal::exact;
    const double low_scale = exact ? std::sqrt(g.remainder / (most * sums)) : 1 / std::sqrt(static_cast<double>(m)) / sums;
    const double high_scale =
        exact ? std::sqrt(g.remainder / std::max(least / sums, 1e-300)) : 1 / std::sqrt(static_cast<double>(m)) * sums;
    bool good = true;
    for (std::size_t j = 0; j < m; ++j) {
      const auto value = static_cast<double>(out[exact_columns + j]);
      const double low = size * std::min(ranges[j].low * low_scale, ranges[j].low * high_scale);
      const double high = size * std::max(ranges[j].high * low_scale, ranges[j].high * high_scale);
      good = CHECK(value >= low && value <= high) && good;
    }
    if (exact_columns > 0) good = CHECK_CLOSE(out[0], std::sqrt(g.low_order[0]) * size, 2 * eps<T> * 4 * size) && good;
    for (std::size_t i = 0; i + 1 < exact_columns; ++i)
      good = CHECK_CLOSE(out[1 + i], std::sqrt(g.low_order[1]) * size * x(0, i), 8 * eps<T> * size) && good;
    return good;
  }

  NtkRandomFeaturesParams params;
  std::size_t exact_columns;
  DualActivation g;
  DirectionSet<double, Cpu> directions;
};

// Rows of length 1 and norms, one of them 0.
template <class T>
std::pair<Matrix<T>, Matrix<T>> unit_rows(std::size_t rows, std::size_t d, std::uint64_t seed) {
  Matrix<T> unit = sketches::random_rows<T>(rows, d, seed);
  Matrix<T> norm(1, rows);
  for (std::size_t r = 0; r < rows; ++r) {
    double square = 0;
    for (std::size_t i = 0; i < d; ++i) square += static_cast<double>(unit(r, i)) * static_cast<double>(unit(r, i));
    const bool zero = rows > 1 && r == rows / 2;
    for (std::size_t i = 0; i < d; ++i)
      unit(r, i) = zero ? T(0) : static_cast<T>(static_cast<double>(unit(r, i)) / std::sqrt(square));
    norm(0, r) = zero ? T(0) : static_cast<T>(1 + r);
  }
  return {unit, norm};
}

template <class T>
void check_one_pass(std::size_t d, const NtkRandomFeaturesParams& params, std::size_t rows, std::size_t gap) {
  const Reference<T> reference(params, d);
  const DualFeatures<T, Cuda> features(fastntk::dual_params(params, d), Cuda());
  const auto [unit, norm] = unit_rows<T>(rows, d, d);
  Guarded<T> in(unit, gap);
  const DeviceMatrix<T> norms(norm);
  Tile<Cuda> tile{Cuda()};
  if (!CHECK(fastntk::has_dual_rows<T>(Cuda(), reference.directions.panel(), reference.directions.size()))) return;
  for (const bool in_steps : {false, true}) {
    Guarded<T> out(Matrix<T>(rows, params.out_features), gap);
    if (in_steps) {
      features.apply_in_steps(tile, in.view(), norms.view().data, out.view());
    } else {
      features.apply(tile, in.view(), norms.view().data, out.view());
    }
    const Matrix<T> found = out.to_host();
    for (std::size_t r = 0; r < rows; ++r)
      if (!reference.holds(&unit.values[r * d], norm(0, r), &found.values[r * found.cols])) {
        std::cout << (in_steps ? "steps" : "one pass") << ": d " << d << " columns " << params.out_features << " row " << r
                  << "\n";
        return;
      }
  }
}

TEST(rows_in_one_pass) {
  for (std::size_t n = 2; n <= 4096; n *= 2) {
    const std::size_t d = n - n / 4;
    // A chunk and a bit, a part of one, and more chunks than threads have registers for.
    const std::size_t chunk = std::max<std::size_t>(n, 1024);
    for (const std::size_t m : {chunk + 5, chunk - chunk / 3,
                                n == 8 || n == 1024 ? 17 * chunk - 3
                                : n == 4096         ? 7 * chunk - 3
                                                    : chunk}) {
      if (check::sanitized && m > 5000) continue;
      NtkRandomFeaturesParams p{.in_features = d,
                                .depth = m > chunk ? 1u : 3u,
                                .directions = Directions::structured,
                                .low_orders = m > chunk ? LowOrders::exact : LowOrders::constant,
                                .diagonal = m % 2 ? Diagonal::exact : Diagonal::sampled,
                                .seed = m};
      p.out_features = m + (p.low_orders == LowOrders::exact ? 1 + d : 1);
      check_one_pass<float>(d, p, 3, 0);
      if (m < 2 * chunk) check_one_pass<double>(d, p, 2, 3);
    }
  }
}

// More rows than blocks, so that a block has several: what it left of one in shared memory must not reach another.
TEST(rows_in_one_pass_one_after_another) {
  for (const std::size_t d : {6, 50}) {
    for (const std::size_t m : {2100, 17000}) {
      if (check::sanitized && m > 5000) continue;
      const NtkRandomFeaturesParams p{.in_features = d,
                                      .out_features = m + 1,
                                      .directions = Directions::structured,
                                      .low_orders = LowOrders::constant,
                                      .diagonal = Diagonal::exact,
                                      .seed = m};
      const std::size_t part = 25;
      const std::size_t rows = 40 * part;
      const DualFeatures<float, Cuda> features(fastntk::dual_params(p, d), Cuda());
      const auto [unit, norm] = unit_rows<float>(rows, d, d);
      const DeviceMatrix<float> in(unit);
      const DeviceMatrix<float> norms(norm);
      DeviceMatrix<float> whole(rows, m + 1);
      DeviceMatrix<float> again(part, m + 1);
      Tile<Cuda> tile{Cuda()};
      features.apply(tile, in.view(), norms.view().data, whole.view());
      const Matrix<float> found = whole.to_host();
      for (const std::size_t first : {std::size_t{0}, rows / 2, rows - part}) {
        features.apply(tile, in.view().row_block(first, part), norms.view().data + first, again.view());
        const Matrix<float> expected = again.to_host();
        CHECK(std::equal(expected.values.begin(), expected.values.end(),
                         found.values.begin() + static_cast<std::ptrdiff_t>(first * (m + 1))));
      }
    }
  }
}

TEST(one_pass_declines_what_does_not_fit) {
  CHECK(!fastntk::has_dual_rows<float>(Cuda(), 8192, 8192));
  CHECK(!fastntk::has_dual_rows<float>(Cuda(), 64, 100));
  CHECK(fastntk::has_dual_rows<float>(Cuda(), 64, 1000));
  CHECK(fastntk::has_dual_rows<float>(Cuda(), 1024, 100));
  CHECK(fastntk::has_dual_rows<float>(Cuda(), 1024, 35000));
  CHECK(!fastntk::has_dual_rows<float>(Cuda(), 1024, 60000));
  CHECK(!fastntk::has_dual_rows<double>(Cuda(), 1024, 30000));
  CHECK(!fastntk::has_dual_rows<float>(Cpu(), 1024, 8192));
}

template <class T, class B>
Matrix<T> features(const NtkRandomFeatures<T, B>& map, const Matrix<T>& x, std::size_t gap = 0) {
  const std::size_t columns = map.params().out_features;
  if constexpr (std::is_same_v<B, Cuda>) {
    Guarded<T> in(x, gap);
    Guarded<T> out(Matrix<T>(x.rows, columns), gap);
    map(in.view(), out.view());
    return out.to_host();
  } else {
    Matrix<T> out(x.rows, columns);
    map(x.view(), out.view());
    return out;
  }
}

template <class T>
Matrix<T> inputs(std::size_t rows, std::size_t d) {
  Matrix<T> x = sketches::random_rows<T>(rows, d, 3 * d);
  for (std::size_t j = 0; j < d; ++j) x(rows / 2, j) = 0;
  return x;
}

// Directions agree to rounding, and so do features of Algorithm 2 in double, where no projection is so near to 0 that its
// step could change: the chance is 1e-12 a projection. What DualFeatures may do is known to Reference.
template <class T>
void check_map(std::size_t rows, const NtkRandomFeaturesParams& params) {
  const NtkRandomFeatures<T, Cuda> device(params);
  const NtkRandomFeatures<T> host(params);
  const NtkRandomFeaturesParams& p = device.params();
  const Matrix<T> x = inputs<T>(rows, params.in_features);
  const Matrix<T> found = features(device, x, params.in_features % 3);
  const Matrix<T> expected = features(host, x);
  if (p.low_orders != LowOrders::sampled) {
    const std::size_t d = p.in_features + (p.bias != 0);
    const Reference<T> reference(p, d);
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<T> unit(d);
      double square = p.bias * p.bias;
      for (std::size_t i = 0; i < p.in_features; ++i) square += static_cast<double>(x(r, i)) * static_cast<double>(x(r, i));
      const double norm = std::sqrt(square);
      for (std::size_t i = 0; i < d; ++i)
        unit[i] = static_cast<T>(norm == 0 ? 0 : (i < p.in_features ? static_cast<double>(x(r, i)) : p.bias) / norm);
      if (!reference.holds(unit.data(), static_cast<T>(norm), &found.values[r * found.cols])) return;
    }
    return;
  }
  const double tolerance = sizeof(T) == 8 ? 1e-9 : 0.3;
  for (std::size_t r = 0; r < rows; ++r) {
    double square = 0, difference = 0;
    for (std::size_t j = 0; j < found.cols; ++j) {
      const auto a = static_cast<double>(found(r, j));
      const auto b = static_cast<double>(expected(r, j));
      square += b * b;
      difference += (a - b) * (a - b);
    }
    CHECK(difference <= tolerance * tolerance * square);
  }
}

template <class Body>
void for_modes(std::size_t d, Body&& body) {
  for (const LowOrders low_orders : {LowOrders::exact, LowOrders::constant, LowOrders::sampled})
    for (const Directions directions : {Directions::gaussian, Directions::sphere, Directions::structured, Directions::gibbs})
      for (const Diagonal diagonal : {Diagonal::exact, Diagonal::sampled})
        for (const std::size_t depth : {1, 3})
          for (const double bias : {0.0, 0.5}) {
            // Long rows take long: half of the combinations, such that every pair of choices is among them.
            const bool odd = ((diagonal == Diagonal::exact) != (depth == 1)) != (bias != 0);
            if (d > 50 && odd) continue;
            if (directions == Directions::gibbs && (low_orders != LowOrders::sampled || bias != 0)) continue;
            body(NtkRandomFeaturesParams{.in_features = d,
                                         .out_features = d + 60,
                                         .depth = depth,
                                         .directions = directions,
                                         .low_orders = low_orders,
                                         .diagonal = diagonal,
                                         .bias = bias,
                                         .seed = d});
          }
}

template <class T>
void check_maps(std::initializer_list<std::size_t> dimensions) {
  for (const std::size_t d : dimensions)
    for_modes(d, [&](const NtkRandomFeaturesParams& p) { check_map<T>(d < 50 ? 4 : 2, p); });
}

TEST(maps_of_short_rows) {
  check_maps<float>({1, 2, 3, 33});
  check_maps<double>({1, 3, 33});
}

TEST(maps_of_long_rows) {
  if (check::sanitized) return;
  check_maps<float>({100, 784});
  check_maps<double>({100});
}

TEST(automatic_choices_and_wide_maps) {
  for (const std::size_t columns : {std::size_t{1}, std::size_t{2}, std::size_t{9}, check::repetitions(std::size_t{3000})})
    for (const std::size_t d : {2, 40, 784}) check_map<float>(3, {.in_features = d, .out_features = columns, .seed = 1});
}

// Columns scaled before and after; steps of products that lie within a rounding of 0 would differ, and there are none.
TEST(given_directions) {
  constexpr std::size_t d = 33, m_0 = 50, m_1 = 20;
  NtkRandomFeaturesParams p{.in_features = d - 1,
                            .out_features = 70,
                            .directions = Directions::given,
                            .bias = 0.5,
                            .seed = 3,
                            .step_features = m_0,
                            .relu_features = m_1};
  const Matrix<double> x = inputs<double>(5, d - 1);
  const Matrix<double> w = sketches::random_rows<double>(m_0 + m_1, d, 4);
  Matrix<double> weights = sketches::random_rows<double>(1, m_0 + m_1, 5);
  for (double& weight : weights.values) weight += 1.5;
  const auto on_device = [&] {
    const DeviceMatrix<double> directions(w, 2), there(weights);
    return features(NtkRandomFeatures<double, Cuda>(p, {directions.view(), there.view()}), x);
  };
  for (const Diagonal diagonal : {Diagonal::sampled, Diagonal::exact}) {
    p.diagonal = diagonal;
    const Matrix<double> found = on_device();
    Matrix<double> expected(5, 70);
    NtkRandomFeatures<double>(p, {w.view(), weights.view()})(x.view(), expected.view());
    for (std::size_t i = 0; i < found.values.size(); ++i) CHECK_CLOSE(found.values[i], expected.values[i], 1e-13);
  }
#if defined(FASTNTK_EMULATE_CUDA)
  device::fail_every_call([&] { CHECK(std::isfinite(on_device()(0, 0))); });
#endif
}

TEST(same_bits_for_any_batches) {
  constexpr std::size_t rows = check::sanitized ? 20 : 53;
  for (const std::size_t d : {5, 60})
    for_modes(d, [&](NtkRandomFeaturesParams p) {
      if (p.depth == 3 || p.bias != 0) return;
      p.out_features = 700;
      const NtkRandomFeatures<float, Cuda> map(p);
      const Matrix<float> x = inputs<float>(rows, d);
      const Matrix<float> whole = features(map, x);
      // A few rows at a time, on another stream.
      CUstream_st* stream = nullptr;
#if defined(FASTNTK_EMULATE_CUDA)
      stream = fastntk::emulation::make_stream(0);
#endif
      const Cuda backend{.stream = stream};
      const NtkRandomFeatures<float, Cuda> other = map.on(backend);
      const DeviceMatrix<float> in(x);
      DeviceMatrix<float> out(rows, 700);
      for (std::size_t begin = 0; begin < rows; begin += 9) {
        const std::size_t count = std::min<std::size_t>(9, rows - begin);
        other(in.view().row_block(begin, count), out.view().row_block(begin, count));
      }
      fastntk::finish(backend);
      CHECK(out.to_host() == whole);
      // Little memory: several tiles in a call.
      CHECK(features(map.on(Cuda{.max_memory = 1 << 16}), x) == whole);
    });
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  const Matrix<float> x = inputs<float>(3, 40);
  for (const Directions directions : {Directions::gaussian, Directions::structured})
    for (const LowOrders low_orders : {LowOrders::exact, LowOrders::sampled})
      for (const std::size_t columns : {90, 700})
        device::fail_every_call([&] {
          const NtkRandomFeatures<float, Cuda> map(
              {.in_features = 40, .out_features = columns, .directions = directions, .low_orders = low_orders});
          CHECK(std::isfinite(features(map, x)(0, 0)));
        });
}
#endif

TEST(no_rows) {
  for_modes(5, [](const NtkRandomFeaturesParams& p) {
    const NtkRandomFeatures<float, Cuda> map(p);
    map(View<const float, Cuda>(nullptr, 0, 5), View<float, Cuda>(nullptr, 0, p.out_features));
  });
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
