#include "sketch_graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tiling.hpp"

namespace fastntk {
namespace {

// With fewer columns a term's transforms would be mostly thrown away.
constexpr std::size_t least_share = 32;

}  // namespace

template <Real T, Backend B>
ValueId SketchGraph<T, B>::input(std::size_t width) {
  ++inputs_;
  return value(width);
}

template <Real T, Backend B>
ValueId SketchGraph<T, B>::value(std::size_t width) {
  widths_.push_back(width);
  return widths_.size() - 1;
}

template <Real T, Backend B>
auto SketchGraph<T, B>::factor(ValueId value, std::size_t cols) -> Factor {
  const std::size_t length = padded(widths_[value]);
  const std::size_t words = (length + 31) / 32;
  const std::size_t blocks = (cols + length - 1) / length;
  return {value, length, words, draw_signs(backend_, rng::child_seed(seed_, ++drawn_), blocks * words * 32)};
}

template <Real T, Backend B>
void SketchGraph<T, B>::set(ValueId target, std::size_t first, std::size_t cols, const std::vector<SketchTerm>& terms,
                            bool add) {
  if (cols == 0) return;
  for (const SketchTerm& term : terms) {
    Step step{
        .target = target, .first = first, .cols = cols, .scale = 0, .add = add, .plain = false, .left = {}, .right = {}};
    step.plain = term.right == no_value && widths_[term.left] == cols && terms.size() == 1;
    const double columns = step.plain ? 1 : static_cast<double>(cols);
    step.scale = static_cast<T>(std::sqrt(term.weight / columns));
    step.left.value = term.left;
    step.right.value = term.right;
    if (!step.plain) step.left = factor(term.left, cols);
    if (term.right != no_value) step.right = factor(term.right, cols);
    steps_.push_back(std::move(step));
    add = true;
  }
}

template <Real T, Backend B>
ValueId SketchGraph<T, B>::sketch(std::size_t width, const std::vector<SketchTerm>& terms) {
  const ValueId target = value(width);
  set(target, 0, width, terms);
  return target;
}

template <Real T, Backend B>
ValueId SketchGraph<T, B>::join(const std::vector<SketchTerm>& parts) {
  std::size_t width = 0;
  for (const SketchTerm& part : parts) width += widths_[part.left];
  const ValueId target = value(width);
  std::size_t first = 0;
  for (const SketchTerm& part : parts) {
    set(target, first, widths_[part.left], {part});
    first += widths_[part.left];
  }
  return target;
}

template <Real T, Backend B>
void SketchGraph<T, B>::divide(ValueId target, std::size_t first, std::size_t cols, const std::vector<SketchTerm>& terms,
                               const std::vector<double>& size) {
  if (cols == 0) return;
  std::vector<std::size_t> order(terms.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return size[i] <= 0 || terms[i].weight <= 0; });
  if (order.empty()) {
    set(target, first, cols, {{.left = 0, .weight = 0}});
    return;
  }
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return size[i]; });
  double left = 0;
  for (const std::size_t i : order) left += size[i];
  std::size_t end = first + cols;
  const auto share = [&](double part) {
    return static_cast<std::size_t>(std::llround(static_cast<double>(end - first) * part / left));
  };
  const auto take = [&](std::size_t columns, const std::vector<SketchTerm>& of, double part) {
    set(target, end - columns, columns, of);
    end -= columns;
    left -= part;
  };

  // Values that are no longer than their share stand there as they are.
  std::vector<std::size_t> rest;
  for (const std::size_t i : order) {
    const std::size_t width = widths_[terms[i].left];
    const bool fits = terms[i].right == no_value && width <= share(size[i]) && width < end - first;
    if (!fits || order.size() == 1) {
      rest.push_back(i);
      continue;
    }
    take(width, {terms[i]}, size[i]);
  }
  order = rest;
  if (order.empty()) set(target, first, end - first, {{.left = 0, .weight = 0}});

  std::vector<SketchTerm> group;
  double group_size = 0;
  for (const std::size_t i : order) {
    group.push_back(terms[i]);
    group_size += size[i];
    const bool last = i == order.back();
    const std::size_t columns = last ? end - first : share(group_size);
    // Shares its columns with the next one: too few for itself, or none left for the others.
    if (!last && (columns < least_share || columns == end - first)) continue;
    take(columns, group, group_size);
    group.clear();
    group_size = 0;
  }
}

template <Real T, Backend B>
std::size_t SketchGraph<T, B>::scratch_width() const {
  std::size_t longest = 0;
  for (const Step& step : steps_) longest = std::max({longest, step.left.length, step.right.length});
  std::size_t width = 2 * longest;
  for (std::size_t v = inputs_; v < widths_.size(); ++v) width += widths_[v];
  return width;
}

template <Real T, Backend B>
void SketchGraph<T, B>::transform(Tile<B>& tile, const Factor& f, View<const T, B> in, std::size_t first,
                                  View<T, B> out) const {
  for (std::size_t j = 0; j < out.cols; j += f.length)
    hadamard<T, B>(tile, in, f.signs.data() + (first + j) / f.length * f.block_words, T(1), out.col_block(j, f.length));
}

template <Real T, Backend B>
void SketchGraph<T, B>::apply(Tile<B>& tile, const std::vector<View<const T, B>>& inputs, View<T, B> out) const {
  const typename Tile<B>::Scope scope(tile);
  const std::size_t rows = out.rows;
  std::vector<View<const T, B>> values(inputs);
  std::vector<View<T, B>> targets(inputs_);
  for (std::size_t v = inputs_; v < widths_.size(); ++v) {
    targets.push_back(v + 1 == widths_.size() ? out : tile.template scratch<T>(rows, widths_[v]));
    values.push_back(targets[v]);
  }
  for (const Step& step : steps_) {
    const typename Tile<B>::Scope step_scope(tile);
    const View<T, B> target = targets[step.target].col_block(step.first, step.cols);
    if (step.plain) {
      multiply<T, B>(tile, values[step.left.value], {}, step.scale, step.add, target);
      continue;
    }
    const bool product = step.right.value != no_value;
    const std::size_t block = std::max(step.left.length, product ? step.right.length : 0);
    const View<T, B> left = tile.template scratch<T>(rows, block);
    const View<T, B> right = product ? tile.template scratch<T>(rows, block) : View<T, B>();
    for (std::size_t j = 0; j < step.cols; j += block) {
      const std::size_t cols = std::min(block, step.cols - j);
      // Whole transforms, as many as these columns need.
      const auto needed = [&](const Factor& f) { return (cols + f.length - 1) / f.length * f.length; };
      transform(tile, step.left, values[step.left.value], j, left.col_block(0, needed(step.left)));
      if (product) transform(tile, step.right, values[step.right.value], j, right.col_block(0, needed(step.right)));
      multiply<T, B>(tile, left.col_block(0, cols), product ? right.col_block(0, cols) : right, step.scale, step.add,
                     target.col_block(j, cols));
    }
  }
}

template <Real T, Backend B>
SketchTerm PowerTree<T, B>::term(std::size_t first, std::size_t count, std::size_t q, double weight) {
  if (q == 1) return {.left = leaves_[first], .weight = weight};
  const std::size_t half = (count + 1) / 2;
  return {.left = node(first, half, (q + 1) / 2), .weight = weight, .right = node(first + half, count - half, q / 2)};
}

template <Real T, Backend B>
ValueId PowerTree<T, B>::node(std::size_t first, std::size_t count, std::size_t q) {
  if (q == 1) return leaves_[first];
  const auto known = nodes_.find({first, count, q});
  if (known != nodes_.end()) return known->second;
  const ValueId made = graph_->sketch(width_, {term(first, count, q, 1)});
  nodes_[{first, count, q}] = made;
  return made;
}

template class SketchGraph<float, FASTNTK_BACKEND>;
template class SketchGraph<double, FASTNTK_BACKEND>;
template class PowerTree<float, FASTNTK_BACKEND>;
template class PowerTree<double, FASTNTK_BACKEND>;

}  // namespace fastntk
