// The matrix products of a training step of DeepNet, which the benchmarks of both backends measure it against.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace bench {

struct DeepNetProducts {
  struct Product {
    std::size_t m, n, k;
  };

  /// Of W_l h, of the derivatives by h and of those by the weights.
  DeepNetProducts(std::size_t rows, std::size_t d, std::size_t width, std::size_t depth)
      : all{{rows, width, d}, {width, d, rows}} {
    for (std::size_t l = 1; l < depth; ++l) {
      all.insert(all.end(), 2, {rows, width, width});
      all.push_back({width, width, rows});
    }
    for (const Product& p : all) {
      most_a = std::max(most_a, p.m * p.k);
      most_b = std::max(most_b, p.k * p.n);
      most_c = std::max(most_c, p.m * p.n);
      flops += 2.0 * static_cast<double>(p.m * p.n) * static_cast<double>(p.k);
    }
  }

  std::vector<Product> all;
  std::size_t most_a = 0, most_b = 0, most_c = 0;  // entries of a factor and of a product
  double flops = 0;
};

}  // namespace bench
