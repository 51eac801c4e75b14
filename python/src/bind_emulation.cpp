#include "bindings.hpp"

#if defined(FASTNTK_EMULATE_CUDA)

#include <cstddef>
#include <cstdint>

// For tests only, so no header declares these to those outside csrc/cuda.
namespace fastntk::emulation {
void inject_fault_number(const char* call, int error, int skip, int count);
void clear_faults();
std::size_t memory_in_use();
CUstream_st* make_stream(int device);
}  // namespace fastntk::emulation

namespace fastntk::python {

namespace py = pybind11;

void bind_emulation(py::module_& m) {
  m.def("inject_fault", &emulation::inject_fault_number, py::arg("call"), py::arg("error"), py::arg("skip") = 0,
        py::arg("count") = 1);
  m.def("clear_faults", &emulation::clear_faults);
  m.def("memory_in_use", &emulation::memory_in_use);
  m.def(
      "make_stream", [](int device) { return reinterpret_cast<std::uintptr_t>(emulation::make_stream(device)); },
      py::arg("device") = 0);
}

}  // namespace fastntk::python

#endif
