#include <fastntk/count_sketch.hpp>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = CountSketch<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("CountSketch").c_str());
  op_class.def(py::init([](std::size_t in_features, std::size_t out_features, std::uint64_t seed, std::size_t nnz_per_column,
                           const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op({in_features, out_features, seed, nnz_per_column}, backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("seed"), py::arg("nnz_per_column"),
               py::arg("backend"));
  def_rows<T, B>(op_class);
  def_csr<T, B>(op_class);
}

}  // namespace

template <Backend B>
void bind_count_sketch(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_count_sketch)

}  // namespace fastntk::python
