#include "gradient_entries.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "draws.hpp"

namespace fastntk {
namespace {

std::vector<std::uint32_t> permutation(std::uint64_t seed, std::size_t size) {
  return draw_subset(Cpu(), seed, size, size).to_host();
}

}  // namespace

std::vector<LayerShare> share_columns(std::size_t columns, const std::vector<std::size_t>& parameters, std::uint64_t seed) {
  const std::size_t layers = parameters.size();
  std::vector<LayerShare> shares(layers);
  if (columns < layers) {
    for (const std::uint32_t layer : draw_subset(Cpu(), seed, columns, layers).to_host()) shares[layer].count = 1;
  } else {
    std::vector<std::size_t> order(layers);
    std::iota(order.begin(), order.end(), std::size_t{0});
    // The smallest first: what it cannot take goes to the others.
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return parameters[a] < parameters[b]; });
    std::size_t left = columns;
    for (std::size_t k = 0; k < layers; ++k) {
      const std::size_t layer = order[k];
      shares[layer].count = std::min(parameters[layer], left / (layers - k));
      left -= shares[layer].count;
    }
  }
  // A layer is drawn with probability columns / layers, if not all are.
  const double layers_per_column = columns < layers ? static_cast<double>(layers) / static_cast<double>(columns) : 1;
  std::size_t first = 0;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    LayerShare& share = shares[layer];
    share.first = first;
    first += share.count;
    if (share.count > 0)
      share.scale = std::sqrt(static_cast<double>(parameters[layer]) / static_cast<double>(share.count) * layers_per_column);
  }
  return shares;
}

// Entry t is (t mod outputs, (t + t div lcm) mod inputs) under random permutations of both: within lcm steps the pairs
// differ, and their difference modulo gcd is the same; the next lcm steps have the next difference, so that all pairs come
// once.
MatrixEntries draw_entries(std::size_t outputs, std::size_t inputs, std::size_t count, std::uint64_t seed) {
  const std::vector<std::uint32_t> rows = permutation(rng::child_seed(seed, 1), outputs);
  const std::vector<std::uint32_t> cols = permutation(rng::child_seed(seed, 2), inputs);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs(count);
  std::size_t cycles = 0;
  for (std::size_t t = 0; t < count; ++t) {
    if (t > 0 && t % outputs == 0 && t % inputs == 0) ++cycles;
    pairs[t] = {rows[t % outputs], cols[(t + cycles) % inputs]};
  }
  std::sort(pairs.begin(), pairs.end());
  MatrixEntries entries;
  for (const auto& [output, input] : pairs) {
    entries.output.push_back(output);
    entries.input.push_back(input);
  }
  return entries;
}

}  // namespace fastntk
