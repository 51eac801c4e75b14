#include <fastntk/srht.hpp>

#include "array_view.hpp"
#include "bindings.hpp"
#include "row_operator.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = Srht<T, B>;
  py::class_<Op> op_class(m, typed_name<T>("Srht").c_str());
  op_class.def(py::init([](std::size_t in_features, std::size_t out_features, std::uint64_t seed, bool replacement,
                           const B& backend) {
                 const py::gil_scoped_release unlocked;
                 return Op({in_features, out_features, seed, replacement}, backend);
               }),
               py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("seed"), py::arg("replacement"),
               py::arg("backend"));
  def_rows<T, B>(op_class);
}

}  // namespace

template <Backend B>
void bind_srht(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_srht)

}  // namespace fastntk::python
