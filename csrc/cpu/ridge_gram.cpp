// Products of row blocks on the CPU: one tile of the result per task, each a BLAS product of fixed shape.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "../src/ridge_primitives.hpp"
#include "blas.hpp"
#include "thread_pool.hpp"

namespace fastntk {
namespace {

using cpu::blas::Transpose;

constexpr std::size_t rows_at_once = 256;  // of a panel when it is converted to double, to stay in cache

// One array of `size` elements per thread. All are taken before the parallel region, so that nothing fails inside it.
template <class T>
class WorkerScratch {
 public:
  WorkerScratch(Tile<Cpu>& memory, std::size_t size)
      : scope_(memory),
        threads_(memory.backend().threads > 0 ? memory.backend().threads : cpu::available_threads()),
        size_(size),
        memory_(static_cast<T*>(memory.allocate(static_cast<std::size_t>(threads_) * size * sizeof(T)))) {}
  int threads() const { return threads_; }
  T* operator[](int worker) const { return memory_ + static_cast<std::size_t>(worker) * size_; }

 private:
  Tile<Cpu>::Scope scope_;
  int threads_;
  std::size_t size_;
  T* memory_;
};

// Panel j of a block.
template <class T>
T* panel(RowBlock<T, Cpu>& block, const TriangleTiles& tiles, std::size_t j) {
  return block.memory.data() + block.capacity * tiles.first(j);
}
template <class T>
const T* panel(const RowBlock<T, Cpu>& block, const TriangleTiles& tiles, std::size_t j) {
  return block.memory.data() + block.capacity * tiles.first(j);
}

std::vector<std::pair<std::size_t, std::size_t>> coordinates(const TriangleTiles& tiles) {
  std::vector<std::pair<std::size_t, std::size_t>> all;
  all.reserve(tiles.count());
  for (std::size_t i = 0; i < tiles.side; ++i)
    for (std::size_t j = 0; j <= i; ++j) all.emplace_back(i, j);
  return all;
}

// tile += (Z^T Z)_ij; a diagonal tile gets its lower triangle.
template <class T>
void add_product(const TriangleTiles& tiles, const RowBlock<T, Cpu>& block, std::size_t i, std::size_t j, T* product,
                 double* tile) {
  const std::size_t m = tiles.size(i), n = tiles.size(j);
  if (block.rows == 0) return;
  constexpr bool in_place = std::is_same_v<T, double>;
  T* target = product;
  if constexpr (in_place) target = tile;
  const T beta = in_place ? 1 : 0;
  if (i == j) {
    cpu::blas::syrk<T>(Transpose::yes, n, block.rows, 1, panel(block, tiles, j), n, beta, target, n);
  } else {
    cpu::blas::gemm<T>(Transpose::yes, Transpose::no, m, n, block.rows, 1, panel(block, tiles, i), m, panel(block, tiles, j),
                       n, beta, target, n);
  }
  if constexpr (!in_place) {
    for (std::size_t r = 0; r < m; ++r) {
      const std::size_t cols = i == j ? r + 1 : n;
      for (std::size_t c = 0; c < cols; ++c) tile[r * n + c] += static_cast<double>(product[r * n + c]);
    }
  }
}

// `count` rows of a panel as doubles.
template <class T>
const double* as_double(const T* rows, std::size_t count, std::size_t cols, double* scratch) {
  if constexpr (std::is_same_v<T, double>) {
    return rows;
  } else {
    std::copy(rows, rows + count * cols, scratch);
    return scratch;
  }
}

}  // namespace

template <class T, Backend B>
const T* stage(Tile<B>&, const T* host, std::size_t) {
  return host;
}

template <>
void run_in_order(const Cpu&, const Cpu&) {}

namespace {

// Calls body(begin, end) for parts of [0, count) that are large enough for a thread.
template <class Body>
void for_numbers(const Cpu& cpu, std::size_t count, Body&& body) {
  constexpr std::size_t at_once = std::size_t{1} << 20;
  cpu::parallel_for(cpu.threads, (count + at_once - 1) / at_once,
                    [&](std::size_t task, int) { body(task * at_once, std::min(count, (task + 1) * at_once)); });
}

}  // namespace

template <>
void set_zero(const Cpu& cpu, double* to, std::size_t count) {
  for_numbers(cpu, count, [&](std::size_t begin, std::size_t end) { std::fill(to + begin, to + end, 0.0); });
}

template <>
void copy_numbers(const Cpu& cpu, const double* from, std::size_t count, double* to) {
  for_numbers(cpu, count, [&](std::size_t begin, std::size_t end) { std::copy(from + begin, from + end, to + begin); });
}

template <>
void add_numbers(const Cpu& cpu, const double* from, std::size_t count, double* to) {
  for_numbers(cpu, count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) to[k] += from[k];
  });
}

template <>
void negate_numbers(const Cpu& cpu, std::size_t count, double* to) {
  for_numbers(cpu, count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) to[k] = 0 - to[k];
  });
}

template <Real T, Backend B>
void fill_block(const B& backend, const TriangleTiles& tiles, View<const T, B> z, const ChosenRows<B>& rows,
                RowBlock<T, B>& block) {
  constexpr std::size_t rows_per_task = 32;
  cpu::parallel_for(backend.threads, (rows.count + rows_per_task - 1) / rows_per_task, [&](std::size_t task, int) {
    const std::size_t begin = task * rows_per_task, end = std::min(begin + rows_per_task, rows.count);
    for (std::size_t j = 0; j < tiles.side; ++j) {
      const std::size_t cols = tiles.size(j);
      for (std::size_t r = begin; r < end; ++r) {
        const T* from = z.row(rows.row(r)) + tiles.first(j);
        T* to = panel(block, tiles, j) + (block.rows + r) * cols;
        const T root = static_cast<T>(std::sqrt(rows.weight_of(r)));
        for (std::size_t c = 0; c < cols; ++c) to[c] = root * from[c];
      }
    }
  });
}

template <>
void fill_right(const Cpu&, View<const double> y, const ChosenRows<Cpu>& rows, View<double> right) {
  for (std::size_t r = 0; r < rows.count; ++r) {
    const double root = std::sqrt(rows.weight_of(r));
    const double* from = y.row(rows.row(r));
    double* to = right.row(r);
    to[0] = root;
    for (std::size_t k = 0; k < y.cols; ++k) to[1 + k] = root * from[k];
  }
}

template <>
void add_sums(const Cpu&, View<const double> y, const ChosenRows<Cpu>& rows, double* sums) {
  for (std::size_t r = 0; r < rows.count; ++r) {
    const double weight = rows.weight_of(r);
    const double* from = y.row(rows.row(r));
    for (std::size_t k = 0; k < y.cols; ++k) {
      sums[k] += weight * from[k];
      sums[y.cols + k] += weight * from[k] * from[k];
    }
  }
}

template <Real T, Backend B>
void read_block(const B&, const TriangleTiles& tiles, const RowBlock<T, B>& block, std::size_t first, View<T, B> out) {
  for (std::size_t r = 0; r < out.rows; ++r) {
    for (std::size_t j = 0; j < tiles.side; ++j)
      std::copy_n(panel(block, tiles, j) + (first + r) * tiles.size(j), tiles.size(j), out.row(r) + tiles.first(j));
  }
}

template <Real T, Backend B>
void add_gram(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, double* gram) {
  const cpu::blas::SingleThread single;
  const WorkerScratch<T> product(memory, tiles.edge * tiles.edge);
  const auto where = coordinates(tiles);
  cpu::parallel_for(product.threads(), where.size(), [&](std::size_t t, int worker) {
    const auto [i, j] = where[t];
    add_product(tiles, block, i, j, product[worker], gram + tiles.offset(i, j));
  });
}

template <Real T, Backend B>
void add_cross(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> right,
               View<double, B> out) {
  const cpu::blas::SingleThread single;
  const WorkerScratch<double> scratch(memory, rows_at_once * tiles.edge);
  cpu::parallel_for(scratch.threads(), tiles.side, [&](std::size_t j, int worker) {
    const std::size_t cols = tiles.size(j);
    for (std::size_t r = 0; r < block.rows; r += rows_at_once) {
      const std::size_t count = std::min(rows_at_once, block.rows - r);
      const double* z = as_double(panel(block, tiles, j) + r * cols, count, cols, scratch[worker]);
      cpu::blas::gemm<double>(Transpose::yes, Transpose::no, cols, right.cols, count, 1, z, cols, right.row(r), right.stride,
                              1, out.row(tiles.first(j)), out.stride);
    }
  });
}

template <Real T, Backend B>
void multiply_block(Tile<B>& memory, const TriangleTiles& tiles, const RowBlock<T, B>& block, View<const double, B> x,
                    View<double, B> out) {
  const cpu::blas::SingleThread single;
  const WorkerScratch<double> scratch(memory, rows_at_once * tiles.edge);
  cpu::parallel_for(scratch.threads(), (block.rows + rows_at_once - 1) / rows_at_once, [&](std::size_t task, int worker) {
    const std::size_t r = task * rows_at_once, count = std::min(rows_at_once, block.rows - r);
    for (std::size_t j = 0; j < tiles.side; ++j) {
      const std::size_t cols = tiles.size(j);
      const double* z = as_double(panel(block, tiles, j) + r * cols, count, cols, scratch[worker]);
      cpu::blas::gemm<double>(Transpose::no, Transpose::no, count, x.cols, cols, 1, z, cols, x.row(tiles.first(j)), x.stride,
                              j > 0, out.row(r), out.stride);
    }
  });
}

template <Real F, Real T, Backend B>
double assemble(Tile<B>& memory, const TriangleTiles& tiles, const double* gram, const RowBlock<T, B>& block,
                const double* sums, double weight, double diagonal, F* out) {
  const cpu::blas::SingleThread single;
  const WorkerScratch<T> product(memory, tiles.edge * tiles.edge);
  const WorkerScratch<double> total(memory, tiles.edge * tiles.edge);
  const auto where = coordinates(tiles);
  std::vector<double> traces(tiles.side);
  cpu::parallel_for(total.threads(), where.size(), [&](std::size_t t, int worker) {
    const auto [i, j] = where[t];
    const std::size_t m = tiles.size(i), n = tiles.size(j);
    double* tile = total[worker];
    std::copy_n(gram + tiles.offset(i, j), m * n, tile);
    add_product(tiles, block, i, j, product[worker], tile);
    F* result = out + tiles.offset(i, j);
    for (std::size_t r = 0; r < m; ++r) {
      const double scaled = sums ? sums[tiles.first(i) + r] / weight : 0;
      const std::size_t cols = i == j ? r + 1 : n;
      if (sums) {
        for (std::size_t c = 0; c < cols; ++c) tile[r * n + c] -= scaled * sums[tiles.first(j) + c];
      }
      if (i == j) {
        traces[i] += tile[r * n + r];
        tile[r * n + r] += diagonal;
        std::fill(result + r * n + cols, result + r * n + n, F(0));
      }
      for (std::size_t c = 0; c < cols; ++c) result[r * n + c] = static_cast<F>(tile[r * n + c]);
    }
  });
  double trace = 0;
  for (const double part : traces) trace += part;
  return trace;
}

template <Backend B>
void multiply_gram(Tile<B>& memory, const TriangleTiles& tiles, const double* gram, View<const double, B> x,
                   View<double, B> out) {
  const cpu::blas::SingleThread single;
  cpu::parallel_for(memory.backend().threads, tiles.side, [&](std::size_t i, int) {
    const std::size_t m = tiles.size(i);
    const auto rows = [&](std::size_t j) { return x.row(tiles.first(j)); };
    double* result = out.row(tiles.first(i));
    for (std::size_t j = 0; j <= i; ++j) {
      cpu::blas::gemm<double>(Transpose::no, Transpose::no, m, x.cols, tiles.size(j), 1, gram + tiles.offset(i, j),
                              tiles.size(j), rows(j), x.stride, j > 0, result, out.stride);
    }
    for (std::size_t j = i; j < tiles.side; ++j) {
      cpu::blas::gemm<double>(Transpose::yes, Transpose::no, m, x.cols, tiles.size(j), 1, gram + tiles.offset(j, i), m,
                              rows(j), x.stride, 1, result, out.stride);
    }
    // Both loops took the diagonal tile, which is a lower triangle; its own diagonal has counted twice.
    const double* tile = gram + tiles.offset(i, i);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t c = 0; c < x.cols; ++c) result[r * out.stride + c] -= tile[r * m + r] * rows(i)[r * x.stride + c];
  });
}

// Linked, and kept to one thread for all products rather than for each.
template <>
struct ProductLibrary<Cpu>::State {
  cpu::blas::SingleThread single;
};
template <>
ProductLibrary<Cpu>::ProductLibrary(const Cpu&) : state_(std::make_unique<State>()) {}
template <>
ProductLibrary<Cpu>::~ProductLibrary() = default;

template <Real T, Backend B>
void prepare_products(Tile<B>& memory, const TriangleTiles& tiles) {
  const std::size_t bytes_per_column = std::max(tiles.edge * sizeof(T), rows_at_once * sizeof(double));
  const WorkerScratch<char> largest(memory, bytes_per_column * tiles.edge);
}

#define FASTNTK_INSTANTIATE(T)                                                                                              \
  template void fill_block(const Cpu&, const TriangleTiles&, View<const T>, const ChosenRows<Cpu>&, RowBlock<T, Cpu>&);     \
  template void read_block(const Cpu&, const TriangleTiles&, const RowBlock<T, Cpu>&, std::size_t, View<T>);                \
  template void prepare_products<T>(Tile<Cpu>&, const TriangleTiles&);                                                      \
  template void add_gram(Tile<Cpu>&, const TriangleTiles&, const RowBlock<T, Cpu>&, double*);                               \
  template void add_cross(Tile<Cpu>&, const TriangleTiles&, const RowBlock<T, Cpu>&, View<const double>, View<double>);     \
  template void multiply_block(Tile<Cpu>&, const TriangleTiles&, const RowBlock<T, Cpu>&, View<const double>,               \
                               View<double>);                                                                               \
  template double assemble(Tile<Cpu>&, const TriangleTiles&, const double*, const RowBlock<T, Cpu>&, const double*, double, \
                           double, float*);                                                                                 \
  template double assemble(Tile<Cpu>&, const TriangleTiles&, const double*, const RowBlock<T, Cpu>&, const double*, double, \
                           double, double*);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE
template const double* stage(Tile<Cpu>&, const double*, std::size_t);
template const std::size_t* stage(Tile<Cpu>&, const std::size_t*, std::size_t);
template void multiply_gram(Tile<Cpu>&, const TriangleTiles&, const double*, View<const double>, View<double>);

}  // namespace fastntk
