#include <fastntk/srht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  using Op = Srht<T, Cpu>;
  py::class_<Op>(m, typed_name<T>("Srht").c_str())
      .def(
          py::init([](std::size_t in_features, std::size_t out_features, std::uint64_t seed, bool replacement, int threads) {
            const py::gil_scoped_release unlocked;
            return Op({in_features, out_features, seed, replacement}, Cpu{threads});
          }),
          py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("seed"), py::arg("replacement"),
          py::arg("threads"))
      .def(
          "__call__",
          [](const Op& op, const Array<T>& x, Array<T> out) {
            const auto vx = input<T>(x, "x");
            const auto vout = output<T>(out, "out");
            const py::gil_scoped_release unlocked;
            op(vx, vout);
          },
          py::arg("x").noconvert(), py::arg("out").noconvert());
}

}  // namespace

void bind_srht(py::module_& m) {
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
