#include <fastntk/dot_product_features.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = DotProductFeatures<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("DotProductFeatures").c_str());
  op_class.def(py::init([](std::size_t in_features, std::size_t out_features, CosineKernel kernel, std::size_t depth,
                           const std::vector<double>& coefficients, Directions directions, LowOrders low_orders,
                           Diagonal diagonal, double bias, bool homogeneous, std::uint64_t seed, const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op({.in_features = in_features,
                            .out_features = out_features,
                            .kernel = {kernel, depth, coefficients},
                            .directions = directions,
                            .low_orders = low_orders,
                            .diagonal = diagonal,
                            .bias = bias,
                            .homogeneous = homogeneous,
                            .seed = seed},
                           backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("kernel"), py::arg("depth"),
               py::arg("coefficients"), py::arg("directions"), py::arg("low_orders"), py::arg("diagonal"), py::arg("bias"),
               py::arg("homogeneous"), py::arg("seed"), py::arg("backend"));
  def_rows<T, B>(op_class);
  op_class.def_property_readonly("directions", [](const Op& op) { return op.params().directions; })
      .def_property_readonly("low_orders", [](const Op& op) { return op.params().low_orders; })
      .def_property_readonly("diagonal", [](const Op& op) { return op.params().diagonal; });
}

void bind_series(py::module_& m) {
  py::native_enum<CosineKernel>(m, "CosineKernel", "enum.Enum")
      .value("ntk", CosineKernel::ntk)
      .value("nngp", CosineKernel::nngp)
      .value("arc_cosine_0", CosineKernel::arc_cosine_0)
      .value("arc_cosine_1", CosineKernel::arc_cosine_1)
      .value("polynomial", CosineKernel::polynomial)
      .finalize();
  m.def(
      "kernel_series",
      [](CosineKernel kernel, std::size_t depth, std::size_t terms) {
        const py::gil_scoped_release unlocked;
        return kernel_series({kernel, depth, {}}, terms);
      },
      py::arg("kernel"), py::arg("depth"), py::arg("terms"));
}

}  // namespace

template <Backend B>
void bind_dot_product_features(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_series(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_dot_product_features)

}  // namespace fastntk::python
