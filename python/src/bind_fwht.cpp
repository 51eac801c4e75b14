#include <fastntk/fwht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  m.def(
      "fwht",
      [](const Array<T>& x, T scale, Array<T> out, int threads) {
        const auto vx = input<T>(x, "x");
        const auto vout = output<T>(out, "out");
        const py::gil_scoped_release unlocked;
        fwht<T, Cpu>(Cpu{threads}, vx, vout, scale);
      },
      py::arg("x").noconvert(), py::arg("scale"), py::arg("out").noconvert(), py::arg("threads"));
}

}  // namespace

void bind_fwht(py::module_& m) {
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
