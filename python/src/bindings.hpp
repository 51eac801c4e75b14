// One function per step of the pipeline; each adds that step to the module.
#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <string>

namespace fastntk::python {

void bind_config(pybind11::module_& m);
void bind_rng(pybind11::module_& m);
void bind_fwht(pybind11::module_& m);
void bind_srht(pybind11::module_& m);
void bind_count_sketch(pybind11::module_& m);
void bind_tensor_srht(pybind11::module_& m);
void bind_poly_sketch(pybind11::module_& m);
void bind_exact(pybind11::module_& m);
void bind_ntk_features(pybind11::module_& m);
void bind_ridge(pybind11::module_& m);

/// "SrhtF32", "SrhtF64": the Python name of an operator template for element type T.
template <class T>
std::string typed_name(const char* name) {
  return std::string(name) + (std::same_as<T, float> ? "F32" : "F64");
}

}  // namespace fastntk::python
