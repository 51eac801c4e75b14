// PolySketch in one thread, against the transforms of its tree alone.
#include <fastntk/count_sketch.hpp>
#include <fastntk/fwht.hpp>
#include <fastntk/poly_sketch.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/srht.hpp>
#include <fastntk/tensor_srht.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::PolySketchBase;
using fastntk::PolySketchParams;
using fastntk::View;

// The value of node v, from the public sketches with the tree's seeds; the degree is a power of two.
std::vector<float> node(const PolySketchParams& p, View<const float> x, std::size_t v) {
  const std::size_t m = p.out_features;
  const std::uint64_t seed = fastntk::rng::child_seed(p.seed, v);
  std::vector<float> out(x.rows * m);
  const View<float> result(out.data(), x.rows, m);
  if (v < p.degree) {
    const std::vector<float> left = node(p, x, 2 * v), right = node(p, x, 2 * v + 1);
    fastntk::TensorSrht<float>({m, m, m, seed}, Cpu{1})(View<const float>(left.data(), x.rows, m),
                                                        View<const float>(right.data(), x.rows, m), result);
  } else if (p.base == PolySketchBase::srht) {
    fastntk::Srht<float>({p.in_features, m, seed}, Cpu{1})(x, result);
  } else {
    fastntk::CountSketch<float>({p.in_features, m, seed}, Cpu{1})(x, result);
  }
  return out;
}

void measure(std::size_t rows, std::size_t d, std::size_t degree, std::size_t m, PolySketchBase base) {
  const std::size_t n = std::bit_ceil(d);
  const bool srht = base == PolySketchBase::srht;
  bench::Array<float> x(rows * d), out(rows * m), leaf(rows * n), inner(rows * m), every((degree + 1) * rows * m);
  // Rows of norm about 1, so that no power leaves the range of float.
  bench::scale(x.data(), x.size(), static_cast<float>(std::sqrt(3.0 / static_cast<double>(d))));
  const PolySketchParams params{d, degree, m, 1, base};
  const fastntk::PolySketch<float> op(params, Cpu{1});
  const View<const float> in(x.data(), rows, d);
  const View<float> result(out.data(), rows, m);
  std::vector<View<float>> powers;
  for (std::size_t j = 0; j <= degree; ++j) powers.emplace_back(every.data() + j * rows * m, rows, m);
  op(in, result);
  op.powers(in, powers);
  const std::vector<float> expected = node(params, in.row_block(0, 2), 1);
  bench::require(std::memcmp(out.data(), expected.data(), 2 * m * sizeof(float)) == 0,
                 "poly_sketch: not the tree of its parts");
  bench::require(std::memcmp(powers[degree].data, out.data(), rows * m * sizeof(float)) == 0,
                 "poly_sketch: wrong last power");

  const auto transform = [&](bench::Array<float>& memory, std::size_t length) {
    fastntk::fwht<float>(Cpu{1}, View<float>(memory.data(), rows, length),
                         static_cast<float>(1 / std::sqrt(static_cast<double>(length))));
  };
  const auto times = bench::alternate({[&] { op(in, result); }, [&] { op.powers(in, powers); },
                                       [&] {
                                         for (std::size_t k = 0; k < degree && srht; ++k) transform(leaf, n);
                                         for (std::size_t k = 0; k < 2 * (degree - 1); ++k) transform(inner, m);
                                       }},
                                      11);
  const std::string shape = std::to_string(rows) + "x" + std::to_string(d) + " -> " + std::to_string(m);
  for (const bool all : {false, true})
    bench::print({.op = std::string(all ? "poly_sketch powers" : "poly_sketch") + ", degree " + std::to_string(degree) +
                        (srht ? ", srht" : ", countsketch"),
                  .dtype = "float32",
                  .shape = shape,
                  .times = times[all],
                  .work = 1,
                  .unit = "s",
                  .floor = "the tree's transforms alone",
                  .floor_times = times[2],
                  .floor_work = 1});
}

}  // namespace

int main() {
  for (const PolySketchBase base : {PolySketchBase::srht, PolySketchBase::count_sketch}) {
    for (const std::size_t degree : {2u, 4u, 8u}) measure(256, 784, degree, 1024, base);
    measure(64, 784, 8, 8192, base);
  }
}
