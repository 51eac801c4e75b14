// What this build is and what it runs on.
#pragma once

#include <string>
#include <vector>

namespace fastntk {

struct Config {
  std::string version;
  std::string compiler;
  std::string instruction_set;                          ///< in use
  std::vector<std::string> available_instruction_sets;  ///< that FASTNTK_ISA can force on this machine, worst first
  std::string blas;
  int threads;              ///< used by Cpu{.threads = 0}
  bool cuda;                ///< whether the CUDA backend was built
  std::string cuda_status;  ///< "not built", "built, no driver", "built, no device", "ready" or what the runtime reports
  std::vector<std::string> cuda_devices;  ///< names, in the runtime's order
};

Config config();

}  // namespace fastntk
