// fastntk._core: the C++ library for Python. Bindings only: arrays become views, the GIL is released, errors are translated.
#include "bindings.hpp"

#include <fastntk/error.hpp>

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  namespace bindings = fastntk::python;

  // fastntk::Error is a std::invalid_argument, which pybind11 turns into ValueError; std::bad_alloc becomes MemoryError.
  auto& backend_error = py::register_exception<fastntk::BackendError>(m, "BackendError", PyExc_RuntimeError);
  backend_error.attr("__module__") = "fastntk";
  backend_error.attr("__doc__") = "A backend that is not there; the message says what is missing.";

  bindings::bind_config(m);
  bindings::bind_rng(m);
  bindings::bind_fwht(m);
  bindings::bind_srht(m);
  bindings::bind_count_sketch(m);
  bindings::bind_tensor_srht(m);
  bindings::bind_poly_sketch(m);
  bindings::bind_exact(m);
  bindings::bind_ntk_features(m);
  bindings::bind_ridge(m);
}
