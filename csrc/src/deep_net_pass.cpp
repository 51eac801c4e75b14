// Rows on their way through the layers of a network and back: products in blocks, whose entries get the ReLU or its
// derivative as soon as a block is there.
#include "deep_net.hpp"
#include "net_blocks.hpp"
#include "primitives.hpp"

namespace fastntk {
namespace {

template <Backend B>
View<std::uint32_t, B> mask_of(View<std::uint32_t, B> mask, const Block& b) {
  return mask.block(b.rows.begin, b.rows.count, b.cols.begin / 32, mask_words(b.cols.count));
}

}  // namespace

template <Real T, Backend B>
NetPass<T, B>::NetPass(Tile<B>& workspace, const NetLayers& layers, std::size_t rows, bool with_backward)
    : backend_(workspace.backend()), layers_(layers), copies_(layers.copies()) {
  for (Copy& copy : copies_)
    for (std::size_t l = 0; l < layers.depth(); ++l) {
      copy.h.push_back(workspace.template scratch<T>(rows, layers.outputs(l)));
      copy.mask.push_back(mask_scratch(workspace, rows, layers.outputs(l)));
      if (with_backward) copy.delta.push_back(workspace.template scratch<T>(rows, layers.outputs(l)));
    }
}

template <Real T, Backend B>
void NetPass<T, B>::forward(const T* all_weights, View<const T, B> x, View<T, B> f) {
  weights_ = all_weights;
  x_ = x;
  const std::size_t depth = layers_.depth();
  for (std::size_t l = 0; l < depth; ++l) {
    ProductBlocks<B> blocks;
    for (std::size_t c = 0; c < copies_.size(); ++c) blocks.add(c, x_.rows, layers_.inputs(l), layers_.outputs(l));
    blocks.run(backend_, [&](Tile<B>& tile, const Block& b) {
      const Copy& copy = copies_[b.product];
      const View<const T, B> w = weights(b.product, l).row_block(b.cols.begin, b.cols.count);
      const View<T, B> h = b.of(copy.h[l]);
      gemm<T, B>(tile, Transposed::no, Transposed::yes, 1, input(copy, l).row_block(b.rows.begin, b.rows.count), w, 0, h);
      relu_forward<T, B>(tile, static_cast<T>(layers_.scale(l)), h, mask_of(copy.mask[l], b));
    });
  }

  ProductBlocks<B> blocks;
  blocks.add(0, f.rows, copies_.size() * layers_.inputs(depth), f.cols);
  blocks.run(backend_, [&](Tile<B>& tile, const Block& b) {
    const typename Tile<B>::Scope scope(tile);
    const View<T, B> of_rows = b.of(f);
    for (std::size_t c = 0; c < copies_.size(); ++c) {
      const View<const T, B> v = weights(c, depth).row_block(b.cols.begin, b.cols.count);
      // A product of its own: one that the BLAS adds to another is not always the negative of an equal one.
      const View<T, B> of_copy = c == 0 ? of_rows : tile.template scratch<T>(b.rows.count, b.cols.count);
      gemm<T, B>(tile, Transposed::no, Transposed::yes, static_cast<T>(layers_.sign(c)),
                 input(copies_[c], depth).row_block(b.rows.begin, b.rows.count), v, 0, of_copy);
      if (c > 0) multiply<T, B>(tile, of_copy, {}, 1, true, of_rows);
    }
  });
}

template <Real T, Backend B>
void NetPass<T, B>::backward(View<const T, B> upstream) {
  upstream_ = upstream;
  const std::size_t depth = layers_.depth();
  for (std::size_t l = depth; l-- > 0;) {
    const bool last = l + 1 == depth;
    ProductBlocks<B> blocks;
    for (std::size_t c = 0; c < copies_.size(); ++c)
      blocks.add(c, x_.rows, last ? upstream.cols : layers_.outputs(l + 1), layers_.outputs(l));
    blocks.run(backend_, [&](Tile<B>& tile, const Block& b) {
      const Copy& copy = copies_[b.product];
      const View<const T, B> above = derivative(copy, l + 1).row_block(b.rows.begin, b.rows.count);
      const View<const T, B> w = weights(b.product, l + 1).block(0, above.cols, b.cols.begin, b.cols.count);
      const T sign = last ? static_cast<T>(layers_.sign(b.product)) : T(1);
      const View<T, B> delta = b.of(copy.delta[l]);
      gemm<T, B>(tile, Transposed::no, Transposed::no, sign, above, w, 0, delta);
      mask_rows<T, B>(tile, mask_of(copy.mask[l], b), static_cast<T>(layers_.scale(l)), delta);
    });
  }
}

template <Real T, Backend B>
void NetPass<T, B>::add_gradient(T factor, T keep, const T* d, T pull, T* to) const {
  const std::size_t depth = layers_.depth(), per_copy = depth + 1;
  ProductBlocks<B> blocks;
  for (std::size_t c = 0; c < copies_.size(); ++c)
    for (std::size_t l = 0; l <= depth; ++l) blocks.add(c * per_copy + l, layers_.outputs(l), x_.rows, layers_.inputs(l));
  blocks.run(backend_, [&](Tile<B>& tile, const Block& b) {
    const std::size_t c = b.product / per_copy, l = b.product % per_copy;
    const View<T, B> block = b.of(layers_.template weights<B>(to, c, l));
    multiply<T, B>(tile, b.of(weights(c, l)), {}, keep, false, block);
    if (pull != 0) multiply<T, B>(tile, b.of(layers_.template weights<B>(d, c, l)), {}, pull, true, block);
    const T sign = l == depth ? static_cast<T>(layers_.sign(c)) : T(1);
    gemm<T, B>(tile, Transposed::yes, Transposed::no, sign * factor,
               derivative(copies_[c], l).col_block(b.rows.begin, b.rows.count),
               input(copies_[c], l).col_block(b.cols.begin, b.cols.count), 1, block);
  });
}

template <Real T, Backend B>
void NetPass<T, B>::kernel(Tile<B>& tile, const NetPass& other, RowRange rows, RowRange cols, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> of_h = tile.template scratch<T>(rows.count, cols.count);
  const View<T, B> of_delta = tile.template scratch<T>(rows.count, cols.count);
  const auto products = [&](View<const T, B> u, View<const T, B> v, T alpha, T beta, View<T, B> into) {
    gemm<T, B>(tile, Transposed::no, Transposed::yes, alpha, u.row_block(rows.begin, rows.count),
               v.row_block(cols.begin, cols.count), beta, into);
  };
  const std::size_t depth = layers_.depth();
  for (std::size_t c = 0; c < copies_.size(); ++c) {
    const Copy &u = copies_[c], &v = other.copies_[c];
    const double sign = layers_.sign(c);
    products(input(u, depth), other.input(v, depth), static_cast<T>(sign * sign), c > 0, out);
    for (std::size_t l = 0; l < depth; ++l) {
      products(input(u, l), other.input(v, l), 1, 0, of_h);
      products(u.delta[l], v.delta[l], 1, 0, of_delta);
      multiply<T, B>(tile, of_h, of_delta, 1, true, out);
    }
  }
}

template class NetPass<float, FASTNTK_BACKEND>;
template class NetPass<double, FASTNTK_BACKEND>;

}  // namespace fastntk
