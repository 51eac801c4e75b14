// The feature map of a model, whichever it is.
#pragma once

#include <fastntk/model_file.hpp>
#include <fastntk/view.hpp>

#include <functional>

#include "model_params.hpp"

namespace fastntk {

/// x (n, in_features) -> z (n, out_features); reentrant. On a device it queues its work.
template <Real T, Backend B>
using RowMap = std::function<void(View<const T, B> x, View<T, B> z)>;

/// The map of these parameters, and what it learnt from rows out of the file's tensors "features.*". Throws Error if a
/// parameter is out of its range, ModelFileError if a tensor is missing or does not fit.
template <Real T, Backend B>
RowMap<T, B> row_map(const MapParams& params, const ModelFile& file, const B& backend);

}  // namespace fastntk
