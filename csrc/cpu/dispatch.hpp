// The choice of instruction set: the best one this machine has, or the one FASTNTK_ISA names.
#pragma once

#include <string>
#include <vector>

namespace fastntk::cpu {

/// The instruction set in use: "baseline", "x86-64-v3" or "x86-64-v4". The environment variable FASTNTK_ISA forces one.
/// Throws BackendError if that names a set which this build or this machine does not have.
const std::string& instruction_set();

/// The sets that can be forced on this machine, worst first.
std::vector<std::string> available_instruction_sets();

}  // namespace fastntk::cpu
