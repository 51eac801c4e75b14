#include <fastntk/error.hpp>
#include <fastntk/linear.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/model.hpp>

#include <algorithm>
#include <concepts>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "model_maps.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// Of features that exist at a time: on the CPU what stays in the cache, on a device what fills it.
template <Backend B>
std::size_t block_rows_of(const B& backend, std::size_t row_bytes) {
  if constexpr (std::same_as<B, Cuda>) {
    constexpr std::size_t most = std::size_t{1} << 28;
    const std::size_t allowed = backend.max_memory == 0 ? most : std::min(most, backend.max_memory / 8);
    return std::max<std::size_t>(allowed / row_bytes, 64);
  } else {
    return std::clamp<std::size_t>((std::size_t{1} << 25) / row_bytes, 16, 4096);
  }
}

/// z -> z coef + intercept.
template <Real T, Backend B>
class LinearRows {
 public:
  LinearRows(const ModelFile& file, std::size_t features, std::size_t targets, const B& backend)
      : backend_(backend), coef_(backend, on_host ? targets : features, on_host ? features : targets) {
    const std::span<const double> coef = finite_numbers<double>(file, "coef", {features, targets});
    const std::span<const double> intercept = finite_numbers<double>(file, "intercept", {targets});
    std::vector<T> numbers(coef.begin(), coef.end());
    if constexpr (on_host) {
      for (std::size_t j = 0; j < targets; ++j)
        for (std::size_t i = 0; i < features; ++i) coef_.view()(j, i) = numbers[i * targets + j];
      intercept_.assign(intercept.begin(), intercept.end());
    } else {
      copy_in(backend, numbers.data(), numbers.size() * sizeof(T), coef_.view().data);
      intercept_ = Buffer<T, B>(backend, std::vector<T>(intercept.begin(), intercept.end()));
    }
  }

  void operator()(View<const T, B> z, View<T, B> out) const {
    if constexpr (on_host) {
      // Transposed, so that there are many columns, which threads share, and no bit depends on how many rows there are.
      Array<T, B> scores(backend_, out.cols, out.rows);
      const View<T, B> from = scores.view();
      linear_kernel<T, B>(backend_, coef_.view(), z, from);
      for (std::size_t i = 0; i < out.rows; ++i)
        for (std::size_t j = 0; j < out.cols; ++j)
          out(i, j) = static_cast<T>(static_cast<double>(from(j, i)) + intercept_[j]);
    } else {
      linear_map<T>(backend_, z, coef_.view(), View<const T, B>(intercept_.data(), 1, out.cols), out);
    }
  }

 private:
  static constexpr bool on_host = std::same_as<B, Cpu>;
  B backend_;
  Array<T, B> coef_;  // (targets, features) on the host, (features, targets) on a device
  std::conditional_t<on_host, std::vector<double>, Buffer<T, B>> intercept_;
};

// index[i] <- the first column of the largest entry of row i; of one column, whether its entry is positive.
template <Real T, Backend B>
void largest(const B& backend, View<const T, B> scores, std::int64_t* index) {
  if constexpr (std::same_as<B, Cuda>) {
    Buffer<std::int64_t, B> found(backend, scores.rows);
    largest_entry<T>(backend, scores, found.data());
    copy_out(backend, found.data(), scores.rows * sizeof *index, index);
  } else {
    for (std::size_t i = 0; i < scores.rows; ++i) {
      const T* const row = scores.row(i);
      index[i] = scores.cols == 1 ? row[0] > 0 : std::max_element(row, row + scores.cols) - row;
    }
  }
}

}  // namespace

template <Real T, Backend B>
struct Model<T, B>::State {
  State(const ModelFile& file, const B& where) : State(file, where, model_params(file)) {}
  State(const ModelFile& file, const B& where, const ModelParams& params)
      : backend(where),
        info(params.info),
        features(out_features(params.map)),
        block_rows(block_rows_of(where, std::max(features, info.n_features_in) * sizeof(T))),
        map(row_map<T, B>(params.map, file, where)),
        linear(file, features, info.n_targets, where) {}

  /// Calls apply(rows, their features) for blocks of rows.
  template <class Apply>
  void for_blocks(View<const T, B> x, Apply apply) const {
    require_shape(x, x.rows, info.n_features_in, "Model: x");
    Array<T, B> z(backend, std::min(x.rows, block_rows), features);
    for (std::size_t first = 0; first < x.rows; first += block_rows) {
      const RowRange rows{first, std::min(block_rows, x.rows - first)};
      const View<T, B> some = z.view().row_block(0, rows.count);
      map(x.row_block(rows.begin, rows.count), some);
      apply(rows, View<const T, B>(some));
    }
  }

  B backend;
  ModelInfo info;
  std::size_t features;
  std::size_t block_rows;
  RowMap<T, B> map;
  LinearRows<T, B> linear;
};

template <Real T, Backend B>
Model<T, B>::Model(const ModelFile& file, B backend) try : state_(std::make_shared<State>(file, backend)) {
} catch (const ModelFileError&) {
  throw;
} catch (const Error& error) {
  throw ModelFileError(std::string("the feature map of the file cannot be made: ") + error.what());
} catch (const OutOfMemory&) {
  throw;
} catch (const std::bad_alloc&) {
  throw OutOfMemory("there is no memory for the feature map of the file");
} catch (const std::length_error&) {
  throw OutOfMemory("the feature map of the file is beyond any memory");
}

template <Real T, Backend B>
Model<T, B> Model<T, B>::read(const std::filesystem::path& path, B backend) {
  return Model(ModelFile::read(path, false), backend);
}

template <Real T, Backend B>
const ModelInfo& Model<T, B>::info() const {
  return state_->info;
}

template <Real T, Backend B>
void Model<T, B>::predict(View<const T, B> x, View<T, B> out) const {
  require_shape(out, x.rows, state_->info.n_targets, "Model: out");
  state_->for_blocks(x,
                     [&](RowRange rows, View<const T, B> z) { state_->linear(z, out.row_block(rows.begin, rows.count)); });
}

template <Real T, Backend B>
void Model<T, B>::classify(View<const T, B> x, std::int64_t* index) const {
  const ModelInfo& info = state_->info;
  require(!info.classes.empty(), "Model: classify is for classifiers; this is an " + info.class_name);
  const B& backend = state_->backend;
  Array<T, B> scores(backend, std::min(x.rows, state_->block_rows), info.n_targets);
  state_->for_blocks(x, [&](RowRange rows, View<const T, B> z) {
    const View<T, B> some = scores.view().row_block(0, rows.count);
    state_->linear(z, some);
    largest<T, B>(backend, some, index + rows.begin);
  });
  if (info.classes.size() == 1) std::fill_n(index, x.rows, 0);
}

template class Model<float, FASTNTK_BACKEND>;
template class Model<double, FASTNTK_BACKEND>;

}  // namespace fastntk
