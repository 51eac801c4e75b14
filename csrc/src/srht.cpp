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
Srht<T, B>::State::State(const SrhtParams& p, const B& backend) : params(checked(p)), length(padded(p.in_features)) {
  require(p.replacement || p.out_features <= length, [&] {
    return "Srht: out_features is " + std::to_string(p.out_features) + "; without replacement at most the padded length " +
           std::to_string(length) + " is possible";
  });
  signs = draw_signs(backend, p.seed, length);
  sample = p.replacement ? draw_sample(backend, p.seed, p.out_features, length)
                         : draw_subset(backend, p.seed, p.out_features, length);
}

template <Real T, Backend B>
void Srht<T, B>::State::apply(Tile<B>& tile, View<const T, B> x, View<T, B> out) const {
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(params.out_features)));
  hadamard_gather<T, B>(tile, x, signs.data(), length, sample.data(), scale, out);
}

template <Real T, Backend B>
Srht<T, B>::Srht(const SrhtParams& params, B backend) : backend_(backend), state_(std::make_shared<State>(params, backend)) {
  finish(backend);
}

template <Real T, Backend B>
Srht<T, B> Srht<T, B>::on(const B& backend) const {
  require_same_memory(backend_, backend, "Srht: on");
  Srht other = *this;
  other.backend_ = backend;
  return other;
}

template <Real T, Backend B>
const SrhtParams& Srht<T, B>::params() const {
  return state_->params;
}

template <Real T, Backend B>
void Srht<T, B>::operator()(View<const T, B> x, View<T, B> out) const {
  require_shape(x, x.rows, state_->params.in_features, "Srht: x");
  require_shape(out, x.rows, state_->params.out_features, "Srht: out");
  for_tiles<B>(backend_, x.rows, rows_per_sample_tile<T>(backend_, state_->length), [&](Tile<B>& tile, RowRange r) {
    state_->apply(tile, x.row_block(r.begin, r.count), out.row_block(r.begin, r.count));
  });
}

template class Srht<float, FASTNTK_BACKEND>;
template class Srht<double, FASTNTK_BACKEND>;

}  // namespace fastntk
