#include <fastntk/poly_sketch.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <vector>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = PolySketch<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("PolySketch").c_str());
  op_class.def(py::init([](std::size_t in_features, std::size_t degree, std::size_t out_features, std::uint64_t seed,
                           PolySketchBase base, const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op({in_features, degree, out_features, seed, base}, backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("degree"), py::arg("out_features"), py::arg("seed"),
               py::arg("base"), py::arg("backend"));
  def_rows<T, B>(op_class);
  op_class
      .def(
          "tensor",
          [](const Op& op, const std::vector<Argument<T, B>>& factors, Argument<T, B> out, const B& backend) {
            std::vector<View<const T, B>> views;
            for (const Argument<T, B>& factor : factors) views.push_back(input(backend, factor, "factor"));
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            op.on(backend).tensor(views, vout);
          },
          py::arg("factors"), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "powers",
          [](const Op& op, const Argument<T, B>& x, std::vector<Argument<T, B>> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            std::vector<View<T, B>> views;
            for (Argument<T, B>& power : out) views.push_back(output(backend, power, "out"));
            const py::gil_scoped_release unlocked;
            op.on(backend).powers(vx, views);
          },
          py::arg("x").noconvert(), py::arg("out"), py::arg("backend"));
}

}  // namespace

template <Backend B>
void bind_poly_sketch(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) {
    py::native_enum<PolySketchBase>(m, "PolySketchBase", "enum.Enum")
        .value("srht", PolySketchBase::srht)
        .value("countsketch", PolySketchBase::count_sketch)
        .finalize();
  }
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_poly_sketch)

}  // namespace fastntk::python
