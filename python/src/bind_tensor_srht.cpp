#include <fastntk/tensor_srht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  using Op = TensorSrht<T, Cpu>;
  py::class_<Op>(m, typed_name<T>("TensorSrht").c_str())
      .def(py::init([](std::size_t in_features_1, std::size_t in_features_2, std::size_t out_features, std::uint64_t seed,
                       int threads) {
             const py::gil_scoped_release unlocked;
             return Op({in_features_1, in_features_2, out_features, seed}, Cpu{threads});
           }),
           py::kw_only(), py::arg("in_features_1"), py::arg("in_features_2"), py::arg("out_features"), py::arg("seed"),
           py::arg("threads"))
      .def(
          "__call__",
          [](const Op& op, const Array<T>& x, const Array<T>& y, Array<T> out) {
            const auto vx = input<T>(x, "x");
            const auto vy = input<T>(y, "y");
            const auto vout = output<T>(out, "out");
            const py::gil_scoped_release unlocked;
            op(vx, vy, vout);
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("out").noconvert());
}

}  // namespace

void bind_tensor_srht(py::module_& m) {
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
