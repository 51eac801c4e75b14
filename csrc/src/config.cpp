#include "config.hpp"

namespace fastntk {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

}  // namespace

Config config() {
  Config config{};
  config.version = FASTNTK_VERSION;
  config.compiler = compiler();
  describe_cpu(config);
#if FASTNTK_HAS_CUDA
  config.cuda = true;
  describe_cuda(config);
#else
  config.cuda_status = "not built";
#endif
  return config;
}

}  // namespace fastntk
