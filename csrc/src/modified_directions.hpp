// What maps with modified directions need of the sampler.
#pragma once

#include <fastntk/modified_directions.hpp>

namespace fastntk {

/// The same as sample_modified_directions(); `on_sphere`, each direction is then scaled to length sqrt(d).
template <Real T, Backend B>
void draw_modified_directions(const B& backend, const ModifiedDirectionsParams& params, bool on_sphere, View<T, B> out);

}  // namespace fastntk
