// Arrays as views, without copies: NumPy arrays for the CPU, DeviceArrays for a GPU. Anything that is not a dense row-major
// matrix of the right type is refused here: the Python layer brings arrays into that form before it calls.
#pragma once

#include <fastntk/view.hpp>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "device_array.hpp"

namespace fastntk::python {

namespace py = pybind11;

/// An argument of exactly this element type: never converted, so that calls with floats and doubles find their overload.
template <class T>
using Array = py::array_t<T, 0>;

/// The array of T that B computes on: Array<T>, or a DeviceArray whose elements are T.
template <class T, Backend B>
using Argument = std::conditional_t<std::same_as<B, Cpu>, Array<T>, DeviceArgument<T>>;

namespace detail {

/// Strides count bytes here, those of a row's elements and of rows.
template <class T, Backend B>
View<T, B> matrix_view(T* data, std::size_t rows, std::size_t cols, std::ptrdiff_t row_stride, std::ptrdiff_t stride,
                       const char* name) {
  constexpr auto item = static_cast<std::ptrdiff_t>(sizeof(T));
  // The strides of an axis with at most one element carry no meaning.
  const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(cols) * item;
  if (rows <= 1) row_stride = width;
  const bool rows_are_dense = rows == 0 || cols <= 1 || stride == item;
  if (!rows_are_dense || row_stride % item != 0 || row_stride < width) {
    throw py::type_error(std::string(name) + " is not row-major with dense rows");
  }
  return View<T, B>(data, rows, cols, static_cast<std::size_t>(row_stride / item));
}

inline void require_dimensions(std::size_t found, std::size_t needed, const char* name) {
  if (found == needed) return;
  throw py::type_error(std::string(name) + " has " + std::to_string(found) + " dimensions, not " + std::to_string(needed));
}

template <class T>
View<T, Cpu> host_view(T* data, const py::array& a, const char* name) {
  require_dimensions(static_cast<std::size_t>(a.ndim()), 2, name);
  return matrix_view<T, Cpu>(data, static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1)), a.strides(0),
                             a.strides(1), name);
}

template <class T>
View<T, Cuda> device_view(const DeviceArray& a, const char* name) {
  require_dimensions(a.shape.size(), 2, name);
  constexpr auto item = static_cast<std::ptrdiff_t>(sizeof(T));
  return matrix_view<T, Cuda>(static_cast<T*>(a.data), static_cast<std::size_t>(a.shape[0]),
                              static_cast<std::size_t>(a.shape[1]), a.strides[0] * item, a.strides[1] * item, name);
}

}  // namespace detail

/// A matrix that is only read: read-only arrays are welcome.
template <class T>
View<const T, Cpu> input(const Cpu&, const Array<T>& a, const char* name) {
  return detail::host_view<const T>(a.data(), a, name);
}

/// A matrix that is written: throws ValueError if the array is read-only.
template <class T>
View<T, Cpu> output(const Cpu&, Array<T>& a, const char* name) {
  return detail::host_view<T>(a.mutable_data(), a, name);
}

/// A dense vector of `size` elements.
template <class T>
const T* vector_input(const Cpu&, const Array<T>& a, std::size_t size, const char* name) {
  const bool dense = a.ndim() == 1 && (a.shape(0) <= 1 || a.strides(0) == static_cast<py::ssize_t>(sizeof(T)));
  if (!dense || static_cast<std::size_t>(a.shape(0)) != size) {
    throw py::type_error(std::string(name) + " is not a dense vector of " + std::to_string(size) + " elements");
  }
  return a.data();
}

template <class T>
std::size_t length(const Array<T>& a) {
  return static_cast<std::size_t>(a.size());
}

/// The bytes of a Python object, which lives longer.
inline std::string_view byte_view(const py::buffer_info& info) {
  if (info.ndim != 1 || info.itemsize != 1 || (info.size > 0 && info.strides[0] != 1))
    throw py::type_error("one dimension of bytes is needed");
  return {static_cast<const char*>(info.ptr), static_cast<std::size_t>(info.size)};
}

#if FASTNTK_HAS_CUDA

/// The same in a device's memory; what the backend's stream does next comes after what was done to the array before.
template <class T>
View<const T, Cuda> input(const Cuda& backend, const DeviceArgument<T>& a, const char* name) {
  a.array->use_on(backend, name);
  return detail::device_view<const T>(*a.array, name);
}

template <class T>
View<T, Cuda> output(const Cuda& backend, const DeviceArgument<T>& a, const char* name) {
  if (a.array->readonly) throw py::value_error(std::string(name) + " is read-only");
  a.array->use_on(backend, name);
  a.array->place = backend;
  return detail::device_view<T>(*a.array, name);
}

template <class T>
const T* vector_input(const Cuda& backend, const DeviceArgument<T>& a, std::size_t size, const char* name) {
  const DeviceArray& array = *a.array;
  const bool dense = array.shape.size() == 1 && (array.shape[0] <= 1 || array.strides[0] == 1);
  if (!dense || static_cast<std::size_t>(array.shape[0]) != size) {
    throw py::type_error(std::string(name) + " is not a dense vector of " + std::to_string(size) + " elements");
  }
  array.use_on(backend, name);
  return static_cast<const T*>(array.data);
}

template <class T>
std::size_t length(const DeviceArgument<T>& a) {
  return a.array->size();
}

#endif

}  // namespace fastntk::python
