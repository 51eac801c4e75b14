// What the bindings of operators on rows have in common: their calls.
#pragma once

#include <fastntk/count_sketch.hpp>
#include <fastntk/view.hpp>

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#include "array_view.hpp"

namespace fastntk::python {

/// Adds op(x, out, backend): the rows of x, run on the backend that the arrays are for.
template <Real T, Backend B, class Op>
void def_rows(py::class_<Op>& op_class) {
  op_class.def(
      "__call__",
      [](const Op& op, const Argument<T, B>& x, Argument<T, B> out, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        op.on(backend)(vx, vout);
      },
      py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("backend"));
}

/// Adds op.csr(values, columns, row_starts, cols, out, backend): the same for sparse rows, as many as out has.
template <Real T, Backend B, class Op>
void def_csr(py::class_<Op>& op_class) {
  op_class.def(
      "csr",
      [](const Op& op, const Argument<T, B>& values, const Argument<std::int32_t, B>& columns,
         const Argument<std::int64_t, B>& row_starts, std::size_t cols, Argument<T, B> out, const B& backend) {
        const auto vout = output(backend, out, "out");
        const std::size_t nnz = length(values);
        const CsrView<T, B> x{vector_input(backend, values, nnz, "values"), vector_input(backend, columns, nnz, "columns"),
                              vector_input(backend, row_starts, vout.rows + 1, "row_starts"), vout.rows, cols};
        const py::gil_scoped_release unlocked;
        op.on(backend)(x, vout);
      },
      py::arg("values").noconvert(), py::arg("columns").noconvert(), py::arg("row_starts").noconvert(), py::arg("cols"),
      py::arg("out").noconvert(), py::arg("backend"));
}

}  // namespace fastntk::python
