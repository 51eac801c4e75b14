// Modified directions: ten Gibbs sweeps of as many chains as directions, and the direct sampler, against drawing as many
// standard normals as they have coordinates and sweeps, one after another, in one thread.
#include <fastntk/modified_directions.hpp>
#include <fastntk/rng.hpp>

#include <cmath>
#include <cstdint>
#include <string>

#include "bench.hpp"

namespace {

using fastntk::Cpu;
using fastntk::ModifiedDirectionsParams;
using fastntk::ModifiedSampler;
using fastntk::View;
using fastntk::rng::Draws;

constexpr std::size_t coordinates = 1'000'000;
constexpr std::size_t sweeps = 10;

void sample(const ModifiedDirectionsParams& params, bench::Array<double>& out, std::size_t d) {
  fastntk::sample_modified_directions<double, Cpu>(Cpu{1}, params, View<double>(out.data(), out.size() / d, d));
}

// |w|^2 is chi-square with d + 2 degrees: the mean of n draws has the standard deviation sqrt(2 (d + 2)/n); six of them.
void check(const bench::Array<double>& out, std::size_t d, const std::string& op) {
  const std::size_t n = out.size() / d;
  double sum = 0;
  for (std::size_t i = 0; i < n * d; ++i) sum += out[i] * out[i];
  const auto degrees = static_cast<double>(d + 2);
  bench::require(std::abs(sum / static_cast<double>(n) - degrees) <= 6 * std::sqrt(2 * degrees / static_cast<double>(n)),
                 op + ": wrong mean square");
}

void measure(std::size_t d) {
  const std::size_t size = coordinates / d * d;
  bench::Array<double> out(size);
  bench::Array<double> normals(size);
  const auto draw = [&](std::size_t times) {
    for (std::size_t k = 0; k < times; ++k)
      for (std::size_t i = 0; i + 1 < size; i += 2) {
        const auto pair = Draws::normal_pair(Draws{k, fastntk::rng::Stream::normal}.bits(i / 2));
        normals[i] = pair[0];
        normals[i + 1] = pair[1];
      }
  };
  const auto line = [&](const std::string& op, const ModifiedDirectionsParams& params, std::size_t times) {
    sample(params, out, d);
    check(out, d, op);
    const auto seconds = bench::alternate({[&] { sample(params, out, d); }, [&] { draw(times); }}, 7);
    bench::print({.op = op,
                  .dtype = "float64",
                  .shape = std::to_string(size / d) + "x" + std::to_string(d),
                  .times = seconds[0],
                  .work = 0,
                  .unit = "s",
                  .floor = std::to_string(times * size) + " normals",
                  .floor_times = seconds[1],
                  .floor_work = 0});
  };
  line("modified directions, Gibbs", {.sweeps = sweeps, .seed = 1}, sweeps);
  line("modified directions, direct", {.method = ModifiedSampler::direct, .seed = 1}, 1);
}

}  // namespace

int main() {
  for (const std::size_t d : {2, 8, 100, 784, 10000}) measure(d);
}
