#include <fastntk/leverage.hpp>

#include <pybind11/native_enum.h>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = LeverageFunction<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("LeverageFunction").c_str());
  op_class.def(py::init([](FeatureFamily family, double alpha, LeverageInverse kind, const Argument<T, B>& x,
                           const Argument<T, B>& matrix, const B& backend) {
                 const auto vx = input(backend, x, "x");
                 const auto vmatrix = input(backend, matrix, "matrix");
                 const py::gil_scoped_release unlocked;
                 return Op({family, alpha}, kind, vx, vmatrix, backend);
               }),
               py::kw_only(), py::arg("family"), py::arg("alpha"), py::arg("inverse"), py::arg("x").noconvert(),
               py::arg("matrix").noconvert(), py::arg("backend"));
  def_rows<T, B>(op_class);
}

void bind_enums(py::module_& m) {
  py::native_enum<FeatureFamily>(m, "FeatureFamily", "enum.Enum")
      .value("arc_cosine_0", FeatureFamily::arc_cosine_0)
      .value("arc_cosine_1", FeatureFamily::arc_cosine_1)
      .value("ntk", FeatureFamily::ntk)
      .value("relu_ntk", FeatureFamily::relu_ntk)
      .value("fourier", FeatureFamily::fourier)
      .finalize();
  py::native_enum<LeverageInverse>(m, "LeverageInverse", "enum.Enum")
      .value("exact", LeverageInverse::exact)
      .value("features", LeverageInverse::features)
      .finalize();
}

}  // namespace

template <Backend B>
void bind_leverage_function(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_enums(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_leverage_function)

}  // namespace fastntk::python
