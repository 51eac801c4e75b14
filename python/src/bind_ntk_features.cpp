#include <fastntk/ntk_features.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = NtkRandomFeatures<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("NtkRandomFeatures").c_str());
  op_class.def(py::init([](std::size_t in_features, std::size_t out_features, std::size_t depth, Directions directions,
                           LowOrders low_orders, Diagonal diagonal, double bias, std::uint64_t seed,
                           std::size_t step_features, std::size_t relu_features, std::size_t sweeps, const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op({in_features, out_features, depth, directions, low_orders, diagonal, bias, seed, step_features,
                            relu_features, sweeps},
                           backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("depth"), py::arg("directions"),
               py::arg("low_orders"), py::arg("diagonal"), py::arg("bias"), py::arg("seed"), py::arg("step_features"),
               py::arg("relu_features"), py::arg("sweeps"), py::arg("backend"));
  op_class.def(py::init([](std::size_t in_features, std::size_t out_features, Diagonal diagonal, double bias,
                           std::uint64_t seed, std::size_t step_features, std::size_t relu_features,
                           const Argument<T, B>& directions, const Argument<T, B>& weights, const B& backend) {
                 const auto vdirections = input(backend, directions, "directions");
                 const auto vweights = input(backend, weights, "weights");
                 const py::gil_scoped_release unlocked;
                 NtkRandomFeaturesParams params;
                 params.in_features = in_features;
                 params.out_features = out_features;
                 params.directions = Directions::given;
                 params.diagonal = diagonal;
                 params.bias = bias;
                 params.seed = seed;
                 params.step_features = step_features;
                 params.relu_features = relu_features;
                 return Op(params, GivenDirections<T, B>{vdirections, vweights}, backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("diagonal"), py::arg("bias"),
               py::arg("seed"), py::arg("step_features"), py::arg("relu_features"), py::arg("directions").noconvert(),
               py::arg("weights").noconvert(), py::arg("backend"));
  def_rows<T, B>(op_class);
  op_class.def_property_readonly("directions", [](const Op& op) { return op.params().directions; })
      .def_property_readonly("low_orders", [](const Op& op) { return op.params().low_orders; })
      .def_property_readonly("diagonal", [](const Op& op) { return op.params().diagonal; })
      .def_property_readonly("sizes", &Op::sizes);
}

void bind_enums(py::module_& m) {
  py::native_enum<Directions>(m, "Directions", "enum.Enum")
      .value("auto", Directions::automatic)
      .value("gaussian", Directions::gaussian)
      .value("structured", Directions::structured)
      .value("sphere", Directions::sphere)
      .value("gibbs", Directions::gibbs)
      .value("given", Directions::given)
      .finalize();
  py::native_enum<LowOrders>(m, "LowOrders", "enum.Enum")
      .value("auto", LowOrders::automatic)
      .value("exact", LowOrders::exact)
      .value("constant", LowOrders::constant)
      .value("sampled", LowOrders::sampled)
      .finalize();
  py::native_enum<Diagonal>(m, "Diagonal", "enum.Enum")
      .value("auto", Diagonal::automatic)
      .value("exact", Diagonal::exact)
      .value("sampled", Diagonal::sampled)
      .finalize();
}

}  // namespace

template <Backend B>
void bind_ntk_features(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) {
    bind_enums(m);
    m.def(
        "layered_sizes",
        [](std::size_t out_features, std::size_t depth, std::size_t step_features, std::size_t relu_features) {
          NtkRandomFeaturesParams params;
          params.out_features = out_features;
          params.depth = depth;
          params.step_features = step_features;
          params.relu_features = relu_features;
          return layered_sizes(params);
        },
        py::kw_only(), py::arg("out_features"), py::arg("depth"), py::arg("step_features"), py::arg("relu_features"));
  }
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_ntk_features)

}  // namespace fastntk::python
