#include <fastntk/linear.hpp>
#include <fastntk/ridge.hpp>

#include <pybind11/stl.h>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  m.def(
      "row_squares",
      [](const Array<T>& z, Array<double> out, const Cpu& backend) {
        const auto vz = input(backend, z, "z");
        vector_input(backend, out, vz.rows, "out");
        double* const square = out.mutable_data();
        const py::gil_scoped_release unlocked;
        row_squares<T>(backend, vz, square);
      },
      py::arg("z").noconvert(), py::arg("out").noconvert(), py::arg("backend"));
}

}  // namespace

void bind_linear(py::module_& m) {
  using namespace py::literals;
  bind<float>(m);
  bind<double>(m);
  m.def("next_ridge_jitter", &next_ridge_jitter, "jitter"_a, "alpha"_a, "trace"_a, "n"_a);
  m.def("ridge_gcv", py::vectorize(ridge_gcv), "total_weight"_a, "freedom"_a, "squares"_a, "variation"_a);
}

}  // namespace fastntk::python
