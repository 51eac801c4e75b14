#include <fastntk/config.hpp>
#include <fastntk/host_memory.hpp>

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <utility>

#include "bindings.hpp"

namespace fastntk::python {

void bind_config(pybind11::module_& m) {
  m.def("config", [] {
    const Config c = config();
    pybind11::dict out;
    out["version"] = c.version;
    out["compiler"] = c.compiler;
    out["instruction_set"] = c.instruction_set;
    out["available_instruction_sets"] = c.available_instruction_sets;
    out["blas"] = c.blas;
    out["threads"] = c.threads;
    out["cuda"] = c.cuda;
    out["cuda_status"] = c.cuda_status;
    out["cuda_devices"] = c.cuda_devices;
    out["cuda_libraries"] = c.cuda_libraries;
    return out;
  });
  m.def(
      "host_memory",
      [](const std::filesystem::path& root) {
        const HostMemory memory = host_memory(root);
        return std::pair(memory.available, memory.limit);
      },
      pybind11::arg("root") = std::filesystem::path("/"));
}

}  // namespace fastntk::python
