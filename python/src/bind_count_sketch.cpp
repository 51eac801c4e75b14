#include <fastntk/count_sketch.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Op = CountSketch<T, B>;
  py::class_<Op>(m, typed_name<T>("CountSketch").c_str())
      .def(py::init([](std::size_t in_features, std::size_t out_features, std::uint64_t seed, std::size_t nnz_per_column,
                       const B& backend) {
             const py::gil_scoped_release unlocked;
             return Op({in_features, out_features, seed, nnz_per_column}, backend);
           }),
           py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("seed"), py::arg("nnz_per_column"),
           py::arg("backend"))
      .def(
          "__call__",
          [](const Op& op, const Argument<T, B>& x, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            op.on(backend)(vx, vout);
          },
          py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "csr",
          [](const Op& op, const Argument<T, B>& values, const Argument<std::int32_t, B>& columns,
             const Argument<std::int64_t, B>& row_starts, std::size_t cols, Argument<T, B> out, const B& backend) {
            const auto vout = output(backend, out, "out");
            const std::size_t nnz = length(values);
            const CsrView<T, B> x{vector_input(backend, values, nnz, "values"),
                                  vector_input(backend, columns, nnz, "columns"),
                                  vector_input(backend, row_starts, vout.rows + 1, "row_starts"), vout.rows, cols};
            const py::gil_scoped_release unlocked;
            op.on(backend)(x, vout);
          },
          py::arg("values").noconvert(), py::arg("columns").noconvert(), py::arg("row_starts").noconvert(), py::arg("cols"),
          py::arg("out").noconvert(), py::arg("backend"));
}

}  // namespace

template <Backend B>
void bind_count_sketch(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_count_sketch)

}  // namespace fastntk::python
