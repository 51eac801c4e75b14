// The moves of many Gibbs chains together (gibbs_chains.hpp has their formulas).
//
// A move is three steps: each chain's curve and its break points; the products of the forms' matrices with the patterns, for
// all chains together; and each chain's pieces, from which it draws.
#pragma once

#include <fastntk/leverage.hpp>

#include <cstddef>

#include "gibbs_chains.hpp"
#include "gibbs_model.hpp"

namespace fastntk {

/// Chains first, first + 1, ..., `count` of them, in scratch memory.
template <Backend B>
GibbsChains<B> take_chains(Tile<B>& memory, const GibbsModel<B>& model, const LeverageSamplerParams& params,
                           std::size_t first, std::size_t count);

/// w <- independent normals, or minus these where no row is active.
template <Backend B>
void start_chains(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count);

/// Move number `move` of the first `count` chains: what follows, one after the other.
template <Backend B>
void move_chains(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                 std::size_t move);
template <Backend B>
void set_curves(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                std::size_t move);
/// Without `passed` only the products with `before`.
template <Backend B>
void multiply_patterns(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, std::size_t count,
                       bool passed);
template <Backend B>
void draw_moves(const B& backend, const GibbsChains<B>& chains, std::size_t count, std::size_t move);

/// directions (count, d) = w of the first chains, and q/p there, from products made anew.
template <Backend B>
void write_directions(const B& backend, const GibbsModel<B>& model, const GibbsChains<B>& chains, View<double, B> directions,
                      View<double, B> ratio);

}  // namespace fastntk
