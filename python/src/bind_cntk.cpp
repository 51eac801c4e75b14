#include <fastntk/cntk.hpp>

#include <pybind11/native_enum.h>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
using CntkFunction = void (*)(const B&, View<const T, B>, View<const T, B>, const CntkParams&, View<T, B>);

template <Real T, Backend B, CntkFunction<T, B> kernel>
void bind_kernel(py::module_& m, const char* name) {
  m.def(
      name,
      [](const Argument<T, B>& x, const Argument<T, B>& y, const CntkParams& params, Argument<T, B> out, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vy = input(backend, y, "y");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        kernel(backend, vx, vy, params, vout);
      },
      py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("params"), py::arg("out").noconvert(), py::arg("backend"));
}

template <Real T, Backend B>
void bind(py::module_& m) {
  bind_kernel<T, B, &cntk_kernel<T, B>>(m, "cntk_kernel");
  bind_kernel<T, B, &cntk_pairs<T, B>>(m, "cntk_pairs");
}

void bind_params(py::module_& m) {
  py::native_enum<Padding>(m, "Padding", "enum.Enum").value("same", Padding::same).value("valid", Padding::valid).finalize();
  py::class_<CntkParams>(m, "CntkParams")
      .def(py::init([](std::size_t image_height, std::size_t image_width, std::size_t channels, std::size_t depth,
                       std::size_t filter_size, Padding padding, Pooling pooling, bool train_first, bool train_last,
                       double bias) {
             return CntkParams{.image = {image_height, image_width, channels},
                               .depth = depth,
                               .filter_size = filter_size,
                               .padding = padding,
                               .pooling = pooling,
                               .train_first = train_first,
                               .train_last = train_last,
                               .bias = bias};
           }),
           py::kw_only(), py::arg("image_height"), py::arg("image_width"), py::arg("channels"), py::arg("depth"),
           py::arg("filter_size"), py::arg("padding"), py::arg("pooling"), py::arg("train_first"), py::arg("train_last"),
           py::arg("bias"));
}

}  // namespace

template <Backend B>
void bind_cntk(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_params(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_cntk)

}  // namespace fastntk::python
