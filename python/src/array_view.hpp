// NumPy arrays as views, without copies. Anything that is not a dense row-major matrix of the right type is refused here:
// the Python layer brings arrays into that form before it calls.
#pragma once

#include <fastntk/view.hpp>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace fastntk::python {

namespace py = pybind11;

/// An argument of exactly this element type: never converted, so that calls with floats and doubles find their overload.
template <class T>
using Array = py::array_t<T, 0>;

namespace detail {

template <class T>
View<T> matrix_view(T* data, const py::array& a, const char* name) {
  if (a.ndim() != 2) throw py::type_error(std::string(name) + " has " + std::to_string(a.ndim()) + " dimensions, not 2");
  const auto rows = static_cast<std::size_t>(a.shape(0));
  const auto cols = static_cast<std::size_t>(a.shape(1));
  // The strides of an axis with at most one element carry no meaning.
  const auto item = static_cast<py::ssize_t>(sizeof(T));
  const py::ssize_t row_stride = rows > 1 ? a.strides(0) : a.shape(1) * item;
  const bool rows_are_dense = rows == 0 || cols <= 1 || a.strides(1) == item;
  if (!rows_are_dense || row_stride % item != 0 || row_stride < a.shape(1) * item) {
    throw py::type_error(std::string(name) + " is not row-major with dense rows");
  }
  return {data, rows, cols, static_cast<std::size_t>(row_stride / item)};
}

}  // namespace detail

/// A matrix that is only read: read-only arrays are welcome.
template <class T>
View<const T> input(const Array<T>& a, const char* name) {
  return detail::matrix_view<const T>(a.data(), a, name);
}

/// A matrix that is written: throws ValueError if the array is read-only.
template <class T>
View<T> output(Array<T>& a, const char* name) {
  return detail::matrix_view<T>(a.mutable_data(), a, name);
}

/// A dense vector of `size` elements.
template <class T>
const T* vector_input(const Array<T>& a, std::size_t size, const char* name) {
  const bool dense = a.ndim() == 1 && (a.shape(0) <= 1 || a.strides(0) == static_cast<py::ssize_t>(sizeof(T)));
  if (!dense || static_cast<std::size_t>(a.shape(0)) != size) {
    throw py::type_error(std::string(name) + " is not a dense vector of " + std::to_string(size) + " elements");
  }
  return a.data();
}

}  // namespace fastntk::python
