// Arrays in a GPU's memory, whoever owns it.
#pragma once

#include <fastntk/convert.hpp>
#include <fastntk/half.hpp>
#include <fastntk/view.hpp>

#include <pybind11/pybind11.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

namespace fastntk::python {

namespace py = pybind11;

/// An array of any numbers in any layout. Work on it is queued on the stream of `place`, or comes after what is queued
/// there.
struct DeviceArray {
  void* data = nullptr;
  Number number = Number::float32;
  std::vector<std::ptrdiff_t> shape;
  std::vector<std::ptrdiff_t> strides;  // in elements
  mutable Cuda place;
  bool readonly = false;
  std::shared_ptr<void> memory;  // what keeps it alive
  py::object base;               // the array of another library that this one was made from, of the same shape, or null

  std::size_t size() const;
  bool is_contiguous() const;
  StridedArray strided() const;
  /// The same without `base`: needs no GIL.
  DeviceArray unnamed() const;

  /// Uninitialised, in memory of its own.
  static DeviceArray empty(const std::vector<std::ptrdiff_t>& shape, Number number, const Cuda& place);

  /// The memory of `array`, which has __dlpack__ or else __cuda_array_interface__, for use on the stream of `place`. With
  /// `wait` that stream is waited for before the array is released, for owners that give memory to others at once. Throws
  /// TypeError if there is no way to read it, BufferError or ValueError if it is somewhere else.
  static DeviceArray of(const py::object& array, const Cuda& place, bool wait);

  /// Orders what is queued on `backend` next after what was done to the array. Throws ValueError on another device.
  void use_on(const Cuda& backend, const char* name) const;

  /// The protocols that others read it by.
  py::capsule dlpack(const py::object& stream, const std::optional<std::tuple<int, int>>& max_version) const;
  py::dict cuda_array_interface() const;
};

/// How many elements an array of this shape has; nothing if a length is negative or no memory could hold them.
std::optional<std::size_t> element_count(const std::vector<std::ptrdiff_t>& shape);

/// A stream as both protocols and Python write it: 1 is the legacy default stream, 2 a thread's own, others are handles.
CUstream_st* stream_from(std::uintptr_t handle);
std::uintptr_t stream_number(const Cuda& place);

template <class T>
constexpr Number number_of = Number::float32;
template <>
inline constexpr Number number_of<double> = Number::float64;
template <>
inline constexpr Number number_of<Half> = Number::float16;
template <>
inline constexpr Number number_of<BFloat16> = Number::bfloat16;
template <>
inline constexpr Number number_of<std::int32_t> = Number::int32;
template <>
inline constexpr Number number_of<std::int64_t> = Number::int64;

/// An argument that is a DeviceArray of T.
template <class T>
struct DeviceArgument {
  DeviceArray* array = nullptr;
};

}  // namespace fastntk::python

namespace pybind11::detail {

template <class T>
struct type_caster<fastntk::python::DeviceArgument<T>> {
  PYBIND11_TYPE_CASTER(fastntk::python::DeviceArgument<T>, const_name("DeviceArray"));

  bool load(handle source, bool) {
    if (!isinstance<fastntk::python::DeviceArray>(source)) return false;
    value.array = source.cast<fastntk::python::DeviceArray*>();
    return value.array->number == fastntk::python::number_of<T>;
  }
};

}  // namespace pybind11::detail
