#include "srht.hpp"

#include <cmath>

#include "tiling.hpp"

namespace fastntk {

namespace {

const SrhtParams& checked(const SrhtParams& p) {
  require_size(p.in_features, "Srht: in_features");
  require_size(p.out_features, "Srht: out_features");
  return p;
}

}  // namespace

template <Real T, Backend B>
Srht<T, B>::State::State(const SrhtParams& p, B b) : params(checked(p)), backend(b), length(padded(p.in_features)) {
  require(p.replacement || p.out_features <= length, [&] {
    return "Srht: out_features is " + std::to_string(p.out_features) + "; without replacement at most the padded length " +
           std::to_string(length) + " is possible";
  });
  signs = SignBits<B>(draw_signs(p.seed, length));
  sample = Buffer<std::uint32_t, B>(p.replacement ? draw_sample(p.seed, p.out_features, length)
                                                  : draw_subset(p.seed, p.out_features, length));
}

template <Real T, Backend B>
void Srht<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const View<T, B> transformed = tile.template scratch<T>(x.rows, length);
  hadamard<T, B>(tile, x, signs.data(), T(1), transformed);
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(params.out_features)));
  gather<T, B>(tile, transformed, sample.data(), scale, out);
}

template <Real T, Backend B>
Srht<T, B>::Srht(const SrhtParams& params, B backend) : state_(std::make_shared<State>(params, backend)) {}

template <Real T, Backend B>
const SrhtParams& Srht<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void Srht<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "Srht: x");
  require_shape(out, x.rows, state_->params.out_features, "Srht: out");
  for_tiles<B>(state_->backend, x.rows, rows_per_tile<T>(state_->length), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class Srht<float, FASTNTK_BACKEND>;
template class Srht<double, FASTNTK_BACKEND>;

}  // namespace fastntk
