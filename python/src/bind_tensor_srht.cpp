#include <fastntk/tensor_srht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = TensorSrht<T, B>;
  py::class_<Op>(m, typed_name<T>("TensorSrht").c_str())
      .def(py::init([](std::size_t in_features_1, std::size_t in_features_2, std::size_t out_features, std::uint64_t seed,
                       const B& backend) {
             const py::gil_scoped_release unlocked;
             return Op({in_features_1, in_features_2, out_features, seed}, backend);
           }),
           py::kw_only(), py::arg("in_features_1"), py::arg("in_features_2"), py::arg("out_features"), py::arg("seed"),
           py::arg("backend"))
      .def(
          "__call__",
          [](const Op& op, const Argument<T, B>& x, const Argument<T, B>& y, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vy = input(backend, y, "y");
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            op.on(backend)(vx, vy, vout);
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("out").noconvert(), py::arg("backend"));
}

}  // namespace

template <Backend B>
void bind_tensor_srht(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_tensor_srht)

}  // namespace fastntk::python
