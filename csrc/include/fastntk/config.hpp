// What this build is and what it runs on.
#pragma once

#include <cstddef>
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
  std::string cuda_status;  ///< "not built", "built, no driver", "built, driver too old", "built, no device", "ready" or
                            ///< what the runtime reports
  std::vector<std::string> cuda_devices;  ///< names, in the runtime's order
  std::string cuda_libraries;             ///< versions and places of cuBLAS and cuSOLVER; empty unless "ready"
};

Config config();

/// Bytes of a device's memory.
struct DeviceMemory {
  std::size_t free;
  std::size_t total;
};

/// Of device number `device` in the runtime's order; throws BackendError without it. Only where CUDA was built.
DeviceMemory device_memory(int device);

/// Gives the memory that is kept for the workspace of later calls back to the driver, after a wait for the device's work;
/// throws BackendError without the device. Only where CUDA was built.
void trim_memory(int device);

}  // namespace fastntk
