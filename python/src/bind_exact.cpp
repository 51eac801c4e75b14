#include <fastntk/exact.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  m.def(
      "relu_ntk",
      [](const Array<T>& cosine, std::size_t depth, Array<T> out, int threads) {
        const auto vcosine = input<T>(cosine, "cosine");
        const auto vout = output<T>(out, "out");
        const py::gil_scoped_release unlocked;
        relu_ntk<T, Cpu>(Cpu{threads}, vcosine, depth, vout);
      },
      py::arg("cosine").noconvert(), py::arg("depth"), py::arg("out").noconvert(), py::arg("threads"));
  m.def(
      "arc_cosine_kernel",
      [](const Array<T>& x, const Array<T>& y, int order, Array<T> out, int threads) {
        const auto vx = input<T>(x, "x");
        const auto vy = input<T>(y, "y");
        const auto vout = output<T>(out, "out");
        const py::gil_scoped_release unlocked;
        arc_cosine_kernel<T, Cpu>(Cpu{threads}, vx, vy, order, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("order"), py::arg("out").noconvert(), py::arg("threads"));
  m.def(
      "ntk_kernel",
      [](const Array<T>& x, const Array<T>& y, std::size_t depth, double bias, Array<T> out, int threads) {
        const auto vx = input<T>(x, "x");
        const auto vy = input<T>(y, "y");
        const auto vout = output<T>(out, "out");
        const py::gil_scoped_release unlocked;
        ntk_kernel<T, Cpu>(Cpu{threads}, vx, vy, {depth, bias}, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("depth"), py::arg("bias"), py::arg("out").noconvert(),
      py::arg("threads"));
  m.def(
      "nngp_kernel",
      [](const Array<T>& x, const Array<T>& y, std::size_t depth, double bias, Array<T> out, int threads) {
        const auto vx = input<T>(x, "x");
        const auto vy = input<T>(y, "y");
        const auto vout = output<T>(out, "out");
        const py::gil_scoped_release unlocked;
        nngp_kernel<T, Cpu>(Cpu{threads}, vx, vy, {depth, bias}, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("depth"), py::arg("bias"), py::arg("out").noconvert(),
      py::arg("threads"));
}

}  // namespace

void bind_exact(py::module_& m) {
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
