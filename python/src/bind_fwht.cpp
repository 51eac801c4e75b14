#include <fastntk/fwht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  m.def(
      "fwht",
      [](const Argument<T, B>& x, T scale, Argument<T, B> out, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        fwht<T, B>(backend, vx, vout, scale);
      },
      py::arg("x").noconvert(), py::arg("scale"), py::arg("out").noconvert(), py::arg("backend"));
}

#if FASTNTK_HAS_CUDA
template <SixteenBit S>
void bind_sixteen_bit(py::module_& m) {
  m.def(
      "fwht",
      [](const DeviceArgument<S>& x, float scale, DeviceArgument<S> out, const Cuda& backend) {
        const auto vx = input(backend, x, "x");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        fwht<S>(backend, vx, vout, scale);
      },
      py::arg("x").noconvert(), py::arg("scale"), py::arg("out").noconvert(), py::arg("backend"));
}
#endif

}  // namespace

template <Backend B>
void bind_fwht(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
#if FASTNTK_HAS_CUDA
  if constexpr (std::same_as<B, Cuda>) {
    bind_sixteen_bit<Half>(m);
    bind_sixteen_bit<BFloat16>(m);
  }
#endif
}
FASTNTK_BIND_BACKENDS(bind_fwht)

}  // namespace fastntk::python
