#include <fastntk/cntk_sketch.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = CntkSketch<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("CntkSketch").c_str());
  op_class.def(py::init([](const CntkSketchParams& params, const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op(params, backend);
               }),
               py::kw_only(), py::arg("params"), py::arg("backend"));
  def_rows<T, B>(op_class);
}

void bind_params(py::module_& m) {
  py::native_enum<CntkMethod>(m, "CntkMethod", "enum.Enum")
      .value("sketch", CntkMethod::sketch)
      .value("random_features", CntkMethod::random_features)
      .finalize();
  // With every automatic choice made.
  py::class_<CntkSketchParams>(m, "CntkSketchParams")
      .def(py::init([](std::size_t out_features, const CntkParams& kernel, CntkMethod method,
                       std::vector<std::vector<double>> kappa_1, std::vector<std::vector<double>> kappa_0, Diagonal diagonal,
                       bool average_flips, std::size_t width, std::uint64_t seed) {
             return resolved_cntk_sketch({.out_features = out_features,
                                          .kernel = kernel,
                                          .method = method,
                                          .kappa_1 = std::move(kappa_1),
                                          .kappa_0 = std::move(kappa_0),
                                          .diagonal = diagonal,
                                          .average_flips = average_flips,
                                          .width = width,
                                          .seed = seed});
           }),
           py::kw_only(), py::arg("out_features"), py::arg("kernel"), py::arg("method"), py::arg("kappa_1"),
           py::arg("kappa_0"), py::arg("diagonal"), py::arg("average_flips"), py::arg("width"), py::arg("seed"))
      .def_readonly("width", &CntkSketchParams::width)
      .def_readonly("diagonal", &CntkSketchParams::diagonal);
}

}  // namespace

template <Backend B>
void bind_cntk_sketch(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_params(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_cntk_sketch)

}  // namespace fastntk::python
