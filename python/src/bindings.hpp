// One function per step of the pipeline; each adds that step to a module, for one backend: to fastntk._core for the CPU, to
// its submodule _cuda for GPUs, under the same names.
#pragma once

#include <fastntk/view.hpp>

#include <pybind11/pybind11.h>

#include <concepts>
#include <string>

namespace fastntk::python {

void bind_config(pybind11::module_& m);
void bind_rng(pybind11::module_& m);
/// What the estimators need of rows in host memory, and formulas of ridge regression; the module is _core.
void bind_linear(pybind11::module_& m);
void bind_model_file(pybind11::module_& m);

template <Backend B>
void bind_fwht(pybind11::module_& m);
template <Backend B>
void bind_srht(pybind11::module_& m);
template <Backend B>
void bind_count_sketch(pybind11::module_& m);
template <Backend B>
void bind_tensor_srht(pybind11::module_& m);
template <Backend B>
void bind_poly_sketch(pybind11::module_& m);
template <Backend B>
void bind_exact(pybind11::module_& m);
template <Backend B>
void bind_cntk(pybind11::module_& m);
template <Backend B>
void bind_cntk_sketch(pybind11::module_& m);
template <Backend B>
void bind_modified_directions(pybind11::module_& m);
template <Backend B>
void bind_leverage_function(pybind11::module_& m);
template <Backend B>
void bind_leverage_sampler(pybind11::module_& m);
template <Backend B>
void bind_ntk_features(pybind11::module_& m);
template <Backend B>
void bind_dot_product_features(pybind11::module_& m);
template <Backend B>
void bind_ntk_sketch(pybind11::module_& m);
template <Backend B>
void bind_gradient_features(pybind11::module_& m);
template <Backend B>
void bind_ridge(pybind11::module_& m);
template <Backend B>
void bind_standardize(pybind11::module_& m);
template <Backend B>
void bind_two_layer_net(pybind11::module_& m);
template <Backend B>
void bind_deep_net(pybind11::module_& m);

/// DeviceArray and what is done with it besides the pipeline; the module is _cuda.
void bind_device_array(pybind11::module_& m);
void bind_device_functions(pybind11::module_& m);
/// What tests do with emulated devices.
void bind_emulation(pybind11::module_& m);

/// "SrhtF32", "SrhtF64": the Python name of an operator template for element type T.
template <class T>
std::string typed_name(const char* name) {
  return std::string(name) + (std::same_as<T, float> ? "F32" : "F64");
}

}  // namespace fastntk::python

/// Compiles bind_STEP for all backends of this build.
#if FASTNTK_HAS_CUDA
#define FASTNTK_BIND_BACKENDS(bind_step)                     \
  template void bind_step<fastntk::Cpu>(pybind11::module_&); \
  template void bind_step<fastntk::Cuda>(pybind11::module_&);
#else
#define FASTNTK_BIND_BACKENDS(bind_step) template void bind_step<fastntk::Cpu>(pybind11::module_&);
#endif
