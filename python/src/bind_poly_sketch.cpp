#include <fastntk/poly_sketch.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <vector>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  using Op = PolySketch<T, Cpu>;
  py::class_<Op>(m, typed_name<T>("PolySketch").c_str())
      .def(py::init([](std::size_t in_features, std::size_t degree, std::size_t out_features, std::uint64_t seed,
                       PolySketchBase base, int threads) {
             const py::gil_scoped_release unlocked;
             return Op({in_features, degree, out_features, seed, base}, Cpu{threads});
           }),
           py::kw_only(), py::arg("in_features"), py::arg("degree"), py::arg("out_features"), py::arg("seed"),
           py::arg("base"), py::arg("threads"))
      .def(
          "__call__",
          [](const Op& op, const Array<T>& x, Array<T> out) {
            const auto vx = input<T>(x, "x");
            const auto vout = output<T>(out, "out");
            const py::gil_scoped_release unlocked;
            op(vx, vout);
          },
          py::arg("x").noconvert(), py::arg("out").noconvert())
      .def(
          "tensor",
          [](const Op& op, const std::vector<Array<T>>& factors, Array<T> out) {
            std::vector<View<const T>> views;
            for (const Array<T>& factor : factors) views.push_back(input<T>(factor, "factor"));
            const auto vout = output<T>(out, "out");
            const py::gil_scoped_release unlocked;
            op.tensor(views, vout);
          },
          py::arg("factors"), py::arg("out").noconvert())
      .def(
          "powers",
          [](const Op& op, const Array<T>& x, std::vector<Array<T>> out) {
            const auto vx = input<T>(x, "x");
            std::vector<View<T>> views;
            for (Array<T>& power : out) views.push_back(output<T>(power, "out"));
            const py::gil_scoped_release unlocked;
            op.powers(vx, views);
          },
          py::arg("x").noconvert(), py::arg("out"));
}

}  // namespace

void bind_poly_sketch(py::module_& m) {
  py::native_enum<PolySketchBase>(m, "PolySketchBase", "enum.Enum")
      .value("srht", PolySketchBase::srht)
      .value("countsketch", PolySketchBase::count_sketch)
      .finalize();
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
