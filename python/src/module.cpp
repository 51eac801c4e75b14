// fastntk._core: the C++ library for Python. Bindings only: arrays become views, the GIL is released, errors are translated.
#include "bindings.hpp"

#include <fastntk/error.hpp>

namespace py = pybind11;

namespace {

template <fastntk::Backend B>
void bind_pipeline(py::module_& m) {
  namespace bindings = fastntk::python;
  bindings::bind_fwht<B>(m);
  bindings::bind_srht<B>(m);
  bindings::bind_count_sketch<B>(m);
  bindings::bind_tensor_srht<B>(m);
  bindings::bind_poly_sketch<B>(m);
  bindings::bind_exact<B>(m);
  bindings::bind_cntk<B>(m);
  bindings::bind_modified_directions<B>(m);
  bindings::bind_leverage_function<B>(m);
  bindings::bind_leverage_sampler<B>(m);
  bindings::bind_ntk_features<B>(m);
  bindings::bind_dot_product_features<B>(m);
  bindings::bind_ntk_sketch<B>(m);
  bindings::bind_gradient_features<B>(m);
  bindings::bind_cntk_sketch<B>(m);
  bindings::bind_ridge<B>(m);
  bindings::bind_standardize<B>(m);
  bindings::bind_two_layer_net<B>(m);
  bindings::bind_deep_net<B>(m);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  // fastntk::Error is a std::invalid_argument, which pybind11 turns into ValueError; std::bad_alloc becomes MemoryError.
  auto& backend_error = py::register_exception<fastntk::BackendError>(m, "BackendError", PyExc_RuntimeError);
  backend_error.attr("__module__") = "fastntk";
  backend_error.attr("__doc__") = "A backend that is not there; the message says what is missing.";
  auto& file_error = py::register_exception<fastntk::ModelFileError>(m, "ModelFileError", PyExc_ValueError);
  file_error.attr("__module__") = "fastntk";
  file_error.attr("__doc__") = "A model file that is damaged, or of another format or version; the message says which.";

  py::class_<fastntk::Cpu>(m, "Cpu")
      .def(py::init([](int threads) { return fastntk::Cpu{threads}; }), py::arg("threads") = 0)
      .def_readonly("threads", &fastntk::Cpu::threads);
  fastntk::python::bind_config(m);
  fastntk::python::bind_rng(m);
  fastntk::python::bind_linear(m);
  fastntk::python::bind_model_file(m);
  bind_pipeline<fastntk::Cpu>(m);
#if FASTNTK_HAS_CUDA
  py::module_ cuda = m.def_submodule("_cuda", "The same for arrays in the memory of a GPU.");
  fastntk::python::bind_device_array(cuda);
  fastntk::python::bind_device_functions(cuda);
  bind_pipeline<fastntk::Cuda>(cuda);
#endif
#if defined(FASTNTK_EMULATE_CUDA)
  py::module_ emulation = m.def_submodule("_emulation", "The emulated devices, for tests.");
  fastntk::python::bind_emulation(emulation);
#endif
}
