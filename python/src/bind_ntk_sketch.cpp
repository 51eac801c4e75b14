#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/ntk_sketch.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

using Polynomial = std::vector<double>;

// What both operators have: dense and sparse calls, and what was chosen.
template <Real T, Backend B, class Op>
void bind_calls(py::class_<Op>& op_class) {
  def_rows<T, B>(op_class);
  def_csr<T, B>(op_class);
  op_class.def_property_readonly("low_orders", [](const Op& op) { return op.params().low_orders; })
      .def_property_readonly("diagonal", [](const Op& op) { return op.params().diagonal; })
      .def_property_readonly("base", [](const Op& op) { return op.params().base; })
      .def_property_readonly("power_features", [](const Op& op) { return op.params().power_features; });
}

template <Real T, Backend B>
void bind(py::module_& m) {
  using Dot = DotProductSketch<T, B>;
  py::class_<Dot> dot(m, typed_name<T>("DotProductSketch").c_str());
  dot.def(py::init([](std::size_t in_features, std::size_t out_features, Polynomial coefficients, LowOrders low_orders,
                      Diagonal diagonal, double bias, bool homogeneous, std::size_t power_features, SketchBase base,
                      std::uint64_t seed, const B& backend) {
            const py::gil_scoped_release unlocked;
            return Dot({in_features, out_features, std::move(coefficients), low_orders, diagonal, bias, homogeneous,
                        power_features, base, seed},
                       backend);
          }),
          py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("coefficients"), py::arg("low_orders"),
          py::arg("diagonal"), py::arg("bias"), py::arg("homogeneous"), py::arg("power_features"), py::arg("base"),
          py::arg("seed"), py::arg("backend"));
  bind_calls<T, B>(dot);

  using Ntk = NtkSketch<T, B>;
  py::class_<Ntk> ntk(m, typed_name<T>("NtkSketch").c_str());
  ntk.def(py::init([](std::size_t in_features, std::size_t out_features, std::size_t depth, SketchMethod method,
                      std::size_t degree, LowOrders low_orders, Diagonal diagonal, double bias, Polynomial coefficients,
                      std::vector<Polynomial> kappa_1, std::vector<Polynomial> kappa_0, std::size_t power_features,
                      std::size_t gate_features, std::size_t layer_features, std::size_t product_features, SketchBase base,
                      std::uint64_t seed, const B& backend) {
            const py::gil_scoped_release unlocked;
            return Ntk({in_features, out_features, depth, method, degree, low_orders, diagonal, bias,
                        std::move(coefficients), std::move(kappa_1), std::move(kappa_0), power_features, gate_features,
                        layer_features, product_features, base, seed},
                       backend);
          }),
          py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("depth"), py::arg("method"),
          py::arg("degree"), py::arg("low_orders"), py::arg("diagonal"), py::arg("bias"), py::arg("coefficients"),
          py::arg("kappa_1"), py::arg("kappa_0"), py::arg("power_features"), py::arg("gate_features"),
          py::arg("layer_features"), py::arg("product_features"), py::arg("base"), py::arg("seed"), py::arg("backend"));
  bind_calls<T, B>(ntk);
  ntk.def_property_readonly("coefficients", [](const Ntk& op) { return op.params().coefficients; })
      .def_property_readonly("kappa_1", [](const Ntk& op) { return op.params().kappa_1; })
      .def_property_readonly("kappa_0", [](const Ntk& op) { return op.params().kappa_0; })
      .def_property_readonly("gate_features", [](const Ntk& op) { return op.params().gate_features; })
      .def_property_readonly("layer_features", [](const Ntk& op) { return op.params().layer_features; })
      .def_property_readonly("product_features", [](const Ntk& op) { return op.params().product_features; });
}

void bind_enums(py::module_& m) {
  py::native_enum<SketchMethod>(m, "SketchMethod", "enum.Enum")
      .value("one_pass", SketchMethod::one_pass)
      .value("layerwise", SketchMethod::layerwise)
      .finalize();
  py::native_enum<SketchBase>(m, "SketchBase", "enum.Enum")
      .value("auto", SketchBase::automatic)
      .value("rotation", SketchBase::rotation)
      .value("countsketch", SketchBase::count_sketch)
      .finalize();
}

}  // namespace

template <Backend B>
void bind_ntk_sketch(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_enums(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_ntk_sketch)

}  // namespace fastntk::python
