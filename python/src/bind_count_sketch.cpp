#include <fastntk/count_sketch.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind(py::module_& m) {
  using Op = CountSketch<T, Cpu>;
  py::class_<Op>(m, typed_name<T>("CountSketch").c_str())
      .def(py::init([](std::size_t in_features, std::size_t out_features, std::uint64_t seed, std::size_t nnz_per_column,
                       int threads) {
             const py::gil_scoped_release unlocked;
             return Op({in_features, out_features, seed, nnz_per_column}, Cpu{threads});
           }),
           py::kw_only(), py::arg("in_features"), py::arg("out_features"), py::arg("seed"), py::arg("nnz_per_column"),
           py::arg("threads"))
      .def(
          "__call__",
          [](const Op& op, const Array<T>& x, Array<T> out) {
            const auto vx = input<T>(x, "x");
            const auto vout = output<T>(out, "out");
            const py::gil_scoped_release unlocked;
            op(vx, vout);
          },
          py::arg("x").noconvert(), py::arg("out").noconvert())
      .def(
          "csr",
          [](const Op& op, const Array<T>& values, const Array<std::int32_t>& columns, const Array<std::int64_t>& row_starts,
             std::size_t cols, Array<T> out) {
            const auto vout = output<T>(out, "out");
            const auto nnz = static_cast<std::size_t>(values.size());
            const CsrView<T> x{vector_input<T>(values, nnz, "values"), vector_input<std::int32_t>(columns, nnz, "columns"),
                               vector_input<std::int64_t>(row_starts, vout.rows + 1, "row_starts"), vout.rows, cols};
            const py::gil_scoped_release unlocked;
            op(x, vout);
          },
          py::arg("values").noconvert(), py::arg("columns").noconvert(), py::arg("row_starts").noconvert(), py::arg("cols"),
          py::arg("out").noconvert());
}

}  // namespace

void bind_count_sketch(py::module_& m) {
  bind<float>(m);
  bind<double>(m);
}

}  // namespace fastntk::python
