// How an object that has work on a backend goes on with it elsewhere.
#pragma once

#include "ridge_primitives.hpp"
#include "tiling.hpp"

namespace fastntk {

/// `present` becomes `next`, another stream of its device, after the work queued so far, or another number of threads.
/// Throws Error, with the name of the object in front, if it is another device.
template <Backend B>
void change_stream(B& present, const B& next, const char* name) {
  require_same_memory(present, next, name);
  run_in_order(present, next);
  present = next;
}

}  // namespace fastntk
