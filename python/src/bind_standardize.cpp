#include <fastntk/standardize.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  m.def(
      "standardize",
      [](const Argument<T, B>& x, const Argument<T, B>& mean, const Argument<T, B>& scale, Argument<T, B> out,
         const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vmean = input(backend, mean, "mean");
        const auto vscale = input(backend, scale, "scale");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        standardize<T, B>(backend, vx, vmean, vscale, vout);
      },
      py::arg("x").noconvert(), py::arg("mean").noconvert(), py::arg("scale").noconvert(), py::arg("out").noconvert(),
      py::arg("backend"));
}

}  // namespace

template <Backend B>
void bind_standardize(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_standardize)

}  // namespace fastntk::python
