// The inside of TwoLayerNet.
#pragma once

#include <fastntk/memory.hpp>
#include <fastntk/nets.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "net_batches.hpp"
#include "net_blocks.hpp"
#include "net_loss.hpp"
#include "net_primitives.hpp"
#include "tile.hpp"

namespace fastntk {

template <Real T, Backend B>
struct TwoLayerNet<T, B>::State {
  State(View<const T, B> start, View<const T, B> out_weights, const B& backend);

  View<const T, B> weights() const { return of(weights_memory); }
  View<const T, B> start() const { return of(start_memory); }
  View<const T, B> out() const { return View<const T, B>(out_memory.data(), m, k); }
  View<const T, B> of(const Buffer<T, B>& memory) const { return View<const T, B>(memory.data(), m, d); }
  View<T, B> of(Buffer<T, B>& memory) const { return View<T, B>(memory.data(), m, d); }

  B backend;
  std::size_t m, d, k;
  Buffer<T, B> weights_memory, start_memory, out_memory;
  Buffer<T, B> previous;      // the weights before the last step, if there was one
  bool has_previous = false;  // since the weights were set
};

/// How the work of a network of m units on some rows is cut: into panels of units, a task each, and within them into blocks
/// of rows, so that a panel's activations of a block stay in a core's second-level cache. By the shapes alone, since a BLAS
/// rounds differently for other shapes. Panels begin at whole words of masks.
template <Real T, Backend B>
struct UnitPanels {
  UnitPanels(std::size_t m, std::size_t d, std::size_t rows);
  std::size_t count() const { return (m + units - 1) / units; }
  RowRange panel(std::size_t p) const { return {p * units, std::min(units, m - p * units)}; }

  std::size_t m;
  std::size_t units;  // of a panel
  std::size_t rows;   // of a block
};

/// Rows on their way through a network of weights W and `out`, forth and back, panel by panel. All that stays of the
/// activations is a bit for each: whether it is positive. Memory is the workspace's; W and D have contiguous rows.
template <Real T, Backend B>
class TwoLayerPass {
 public:
  /// Of at most `most_rows` rows of d elements.
  TwoLayerPass(Tile<B>& workspace, View<const T, B> out, std::size_t d, std::size_t most_rows);

  /// f(W, x), until the next call.
  View<const T, B> outputs(View<const T, B> x, View<const T, B> w);

  /// Likewise, and |r|^2 scale/2 + alpha |W - D|^2/2 with r = kappa f - y; D may have no data, for 0.
  double loss(const NetBatch<T, B>& batch, double kappa, double alpha, View<const T, B> w, View<const T, B> d);

  /// Which units were active on each row of the last call.
  View<const std::uint32_t, B> patterns() const { return mask_.row_block(0, x_.rows); }

  /// to = keep W + pull D + factor (the derivative of <r, f> by W), for the last loss(). D is not read where pull is 0.
  void add_gradient(T factor, T keep, T pull, View<const T, B> w, View<const T, B> d, View<T, B> to) const;

 private:
  /// f(W, x); calls also(tile, p) for each panel, whose weights are in the cache then.
  template <class Also>
  View<T, B> forward(View<const T, B> x, View<const T, B> w, Also also);
  View<std::uint32_t, B> mask(RowRange rows, RowRange units) const;
  /// Contiguous: f of each panel, of which the first becomes f, and r.
  View<T, B> product(std::size_t p) const { return View<T, B>(products_ + p * x_.rows * out_.cols, x_.rows, out_.cols); }

  Tile<B>& workspace_;
  View<const T, B> out_, x_;
  UnitPanels<T, B> panels_;
  View<std::uint32_t, B> mask_;  // (rows, words of all units)
  T* products_;
  LossTerms<T, B> terms_;
};

}  // namespace fastntk
