#include "dispatch.hpp"

#include <fastntk/error.hpp>

#include <cstdlib>

#include "kernels.hpp"

namespace fastntk::cpu {

#define FASTNTK_DECLARE_KERNELS(isa)        \
  namespace isa {                           \
  extern const Kernels<float> kernels_f32;  \
  extern const Kernels<double> kernels_f64; \
  }
FASTNTK_DECLARE_KERNELS(baseline)
#if defined(__x86_64__)
FASTNTK_DECLARE_KERNELS(x86_64_v3)
FASTNTK_DECLARE_KERNELS(x86_64_v4)
#endif
#undef FASTNTK_DECLARE_KERNELS

namespace {

struct InstructionSet {
  std::string name;
  bool available;
  const Kernels<float>* f32;
  const Kernels<double>* f64;
};

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets = {{"baseline", true, &baseline::kernels_f32, &baseline::kernels_f64}};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  sets.push_back({"x86-64-v3", v3, &x86_64_v3::kernels_f32, &x86_64_v3::kernels_f64});
  sets.push_back({"x86-64-v4", v4, &x86_64_v4::kernels_f32, &x86_64_v4::kernels_f64});
#endif
  return sets;
}

InstructionSet choose() {
  const std::vector<InstructionSet> sets = instruction_sets();
  const char* forced = std::getenv("FASTNTK_ISA");
  std::string names;
  for (auto set = sets.rbegin(); set != sets.rend(); ++set) {
    if (!set->available) continue;
    if (!forced || !*forced || set->name == forced) return *set;
    names = set->name + (names.empty() ? "" : ", ") + names;
  }
  throw BackendError("FASTNTK_ISA: '" + std::string(forced) + "' is not an instruction set of this machine; use one of " +
                     names + ", or unset it");
}

const InstructionSet& chosen() {
  static const InstructionSet set = choose();
  return set;
}

}  // namespace

const std::string& instruction_set() { return chosen().name; }

std::vector<std::string> available_instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : instruction_sets())
    if (set.available) names.push_back(set.name);
  return names;
}

template <>
const Kernels<float>& kernels<float>() {
  return *chosen().f32;
}
template <>
const Kernels<double>& kernels<double>() {
  return *chosen().f64;
}

}  // namespace fastntk::cpu
