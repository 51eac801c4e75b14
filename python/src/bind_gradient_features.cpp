#include <fastntk/gradient_features.hpp>

#include <pybind11/native_enum.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = GradientFeatures<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("GradientFeatures").c_str());
  op_class.def(py::init([](const GradientFeaturesParams& params, const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op(params, backend);
               }),
               py::kw_only(), py::arg("params"), py::arg("backend"));
  def_rows<T, B>(op_class);
}

void bind_params(py::module_& m) {
  py::native_enum<Architecture>(m, "Architecture", "enum.Enum")
      .value("mlp", Architecture::mlp)
      .value("cnn", Architecture::cnn)
      .finalize();
  py::native_enum<Pooling>(m, "Pooling", "enum.Enum").value("gap", Pooling::gap).value("none", Pooling::none).finalize();
  // With every automatic choice made.
  py::class_<GradientFeaturesParams>(m, "GradientFeaturesParams")
      .def(py::init([](std::size_t in_features, std::size_t out_features, std::size_t depth, Architecture architecture,
                       std::size_t width, double bias, Diagonal diagonal, std::size_t image_height, std::size_t image_width,
                       std::size_t channels, std::size_t filter_size, Pooling pooling, std::uint64_t seed) {
             return resolved_gradient_features({.in_features = in_features,
                                                .out_features = out_features,
                                                .depth = depth,
                                                .architecture = architecture,
                                                .width = width,
                                                .bias = bias,
                                                .diagonal = diagonal,
                                                .image = {image_height, image_width, channels},
                                                .filter_size = filter_size,
                                                .pooling = pooling,
                                                .seed = seed});
           }),
           py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("depth"), py::arg("architecture"),
           py::arg("width"), py::arg("bias"), py::arg("diagonal"), py::arg("image_height"), py::arg("image_width"),
           py::arg("channels"), py::arg("filter_size"), py::arg("pooling"), py::arg("seed"))
      .def_readonly("width", &GradientFeaturesParams::width)
      .def_readonly("diagonal", &GradientFeaturesParams::diagonal)
      .def_property_readonly("parameters", &gradient_parameters);
}

}  // namespace

template <Backend B>
void bind_gradient_features(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_params(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_gradient_features)

}  // namespace fastntk::python
