#include <fastntk/exact.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
using ReluKernelFunction = void (*)(const B&, View<const T, B>, View<const T, B>, const ReluKernelParams&, View<T, B>);

template <Real T, Backend B, ReluKernelFunction<T, B> kernel>
void bind_kernel(py::module_& m, const char* name) {
  m.def(
      name,
      [](const Argument<T, B>& x, const Argument<T, B>& y, std::size_t depth, double bias, Argument<T, B> out,
         const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vy = input(backend, y, "y");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        kernel(backend, vx, vy, {depth, bias}, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("depth"), py::arg("bias"), py::arg("out").noconvert(),
      py::arg("backend"));
}

template <Real T, Backend B>
void bind(py::module_& m) {
  m.def(
      "relu_ntk",
      [](const Argument<T, B>& cosine, std::size_t depth, Argument<T, B> out, const B& backend) {
        const auto vcosine = input(backend, cosine, "cosine");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        relu_ntk<T, B>(backend, vcosine, depth, vout);
      },
      py::arg("cosine").noconvert(), py::arg("depth"), py::arg("out").noconvert(), py::arg("backend"));
  m.def(
      "arc_cosine_kernel",
      [](const Argument<T, B>& x, const Argument<T, B>& y, int order, Argument<T, B> out, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vy = input(backend, y, "y");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        arc_cosine_kernel<T, B>(backend, vx, vy, order, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("order"), py::arg("out").noconvert(), py::arg("backend"));
  bind_kernel<T, B, &ntk_kernel<T, B>>(m, "ntk_kernel");
  bind_kernel<T, B, &nngp_kernel<T, B>>(m, "nngp_kernel");
  m.def(
      "linear_kernel",
      [](const Argument<T, B>& x, const Argument<T, B>& y, Argument<T, B> out, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vy = input(backend, y, "y");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        linear_kernel<T, B>(backend, vx, vy, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("out").noconvert(), py::arg("backend"));
  m.def(
      "scale_to_ntk_diagonal",
      [](const Argument<T, B>& x, std::size_t depth, double bias, Argument<T, B> z, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vz = output(backend, z, "z");
        const py::gil_scoped_release unlocked;
        scale_to_ntk_diagonal<T, B>(backend, vx, {depth, bias}, vz);
      },
      py::arg("x").noconvert(), py::arg("depth"), py::arg("bias"), py::arg("z").noconvert(), py::arg("backend"));
}

}  // namespace

template <Backend B>
void bind_exact(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_exact)

}  // namespace fastntk::python
