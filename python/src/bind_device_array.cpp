#include "bindings.hpp"

#if FASTNTK_HAS_CUDA

#include <fastntk/convert.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/upload.hpp>

#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "array_view.hpp"
#include "device_array.hpp"

namespace fastntk::python {
namespace {

using Extents = std::vector<std::ptrdiff_t>;

constexpr const char* number_names[] = {"bool",   "int8",   "int16",   "int32",    "int64",   "uint8",  "uint16",
                                        "uint32", "uint64", "float16", "bfloat16", "float32", "float64"};

const char* name_of(Number number) { return number_names[static_cast<std::size_t>(number)]; }

Number number_named(const std::string& name) {
  const auto* const found = std::find(std::begin(number_names), std::end(number_names), name);
  if (found == std::end(number_names)) throw py::type_error("there are no arrays of dtype " + name + " on a GPU");
  return static_cast<Number>(found - std::begin(number_names));
}

py::dtype dtype_of(const DeviceArray& a) {
  if (a.number == Number::bfloat16) throw py::type_error("NumPy has no bfloat16");
  return py::dtype(name_of(a.number));
}

// The same elements row after row, in memory of their own unless they are already.
DeviceArray contiguous(const DeviceArray& a, Number number) {
  if (a.number == number && a.is_contiguous()) return a.unnamed();
  DeviceArray dense = DeviceArray::empty(a.shape, number, a.place);
  convert(a.place, a.strided(), number, dense.data);
  return dense;
}

py::array to_host(const DeviceArray& a) {
  const Number number = a.number == Number::bfloat16 ? Number::float32 : a.number;
  py::array host(py::dtype(name_of(number)), a.shape);
  void* const to = host.mutable_data();
  const py::gil_scoped_release unlocked;
  const DeviceArray dense = contiguous(a, number);
  if (dense.size() > 0) copy_out(a.place, dense.data, dense.size() * bytes_of(number), to);
  return host;
}

// Without `wait` the copy is queued, and `host` may change at once all the same.
DeviceArray from_host(const py::array& host, const Cuda& place, bool wait) {
  const Extents shape(host.shape(), host.shape() + host.ndim());
  const Number number = number_named(py::str(host.dtype().attr("name")));
  const void* const from = host.data();
  const py::gil_scoped_release unlocked;
  DeviceArray a = DeviceArray::empty(shape, number, place);
  if (a.size() > 0) (wait ? copy_in<Cuda> : upload)(place, from, a.size() * bytes_of(number), a.data);
  return a;
}

DeviceArray reshaped(const DeviceArray& a, Extents shape) {
  const auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (unknown != shape.end()) {
    *unknown = 1;
    const std::optional<std::size_t> known = element_count(shape);
    if (known && *known > 0) *unknown = static_cast<std::ptrdiff_t>(a.size() / *known);
  }
  if (element_count(shape) != a.size()) {
    throw py::value_error("an array of " + std::to_string(a.size()) + " elements has no such shape");
  }
  DeviceArray out = a.unnamed();
  out.shape = shape;
  out.strides.assign(shape.size(), 1);
  if (a.is_contiguous()) {
    for (std::size_t k = shape.size(); k-- > 1;) out.strides[k - 1] = out.strides[k] * shape[k];
    return out;
  }
  // Axes of length one come and go freely; beyond that, leading axes join where their steps fit.
  Extents lengths, steps;
  for (std::size_t k = 0; k < a.shape.size(); ++k) {
    if (a.shape[k] == 1) continue;
    if (!lengths.empty() && steps.back() == a.strides[k] * a.shape[k]) {
      lengths.back() *= a.shape[k];
      steps.back() = a.strides[k];
    } else {
      lengths.push_back(a.shape[k]);
      steps.push_back(a.strides[k]);
    }
  }
  // Walk from the last axis: each wanted axis is cut off the end of what is left of a joined one.
  std::size_t axis = lengths.size();
  std::ptrdiff_t left = 1, step = 1;
  for (std::size_t k = shape.size(); k-- > 0;) {
    if (shape[k] == 1) continue;
    if (left == 1 && axis > 0) {
      --axis;
      left = lengths[axis];
      step = steps[axis];
    }
    if (left % shape[k] != 0) throw py::value_error("an array of these strides has no view of such a shape");
    out.strides[k] = step;
    left /= shape[k];
    step *= shape[k];
  }
  return out;
}

std::ptrdiff_t position(const py::handle& index) {
  if (!PyIndex_Check(index.ptr()) || PyBool_Check(index.ptr())) {
    const std::string type = py::str(py::type::handle_of(index).attr("__name__"));
    throw py::type_error("a DeviceArray is indexed by integers and slices, not by " + type +
                         "; the library that it is handed on to has more");
  }
  const py::ssize_t i = PyNumber_AsSsize_t(index.ptr(), PyExc_IndexError);
  if (i == -1 && PyErr_Occurred()) throw py::error_already_set();
  return i;
}

DeviceArray indexed(const DeviceArray& a, const py::object& index) {
  const py::tuple parts = py::isinstance<py::tuple>(index) ? index.cast<py::tuple>() : py::make_tuple(index);
  if (parts.size() > a.shape.size()) throw py::index_error("too many indices");
  DeviceArray out = a.unnamed();
  out.shape.clear();
  out.strides.clear();
  std::ptrdiff_t offset = 0;
  for (std::size_t k = 0; k < a.shape.size(); ++k) {
    if (k < parts.size() && py::isinstance<py::slice>(parts[k])) {
      py::ssize_t start = 0, stop = 0, step = 0, length = 0;
      if (!parts[k].cast<py::slice>().compute(a.shape[k], &start, &stop, &step, &length)) throw py::error_already_set();
      offset += start * a.strides[k];
      out.shape.push_back(length);
      out.strides.push_back(step * a.strides[k]);
    } else if (k < parts.size()) {
      std::ptrdiff_t i = position(parts[k]);
      if (i < 0) i += a.shape[k];
      if (i < 0 || i >= a.shape[k]) throw py::index_error("index out of range");
      offset += i * a.strides[k];
    } else {
      out.shape.push_back(a.shape[k]);
      out.strides.push_back(a.strides[k]);
    }
  }
  if (out.size() > 0) out.data = static_cast<std::byte*>(a.data) + offset * static_cast<std::ptrdiff_t>(bytes_of(a.number));
  return out;
}

py::tuple strides_in_bytes(const DeviceArray& a) {
  py::tuple out(a.strides.size());
  for (std::size_t k = 0; k < a.strides.size(); ++k) {
    out[k] = a.strides[k] * static_cast<std::ptrdiff_t>(bytes_of(a.number));
  }
  return out;
}

py::tuple shape_of(const DeviceArray& a) {
  py::tuple out(a.shape.size());
  for (std::size_t k = 0; k < a.shape.size(); ++k) out[k] = a.shape[k];
  return out;
}

std::ptrdiff_t length_of(const DeviceArray& a) {
  if (a.shape.empty()) throw py::type_error("len() of an array without dimensions");
  return a.shape[0];
}

void bind_class(py::module_& m) {
  using namespace py::literals;
  py::class_<DeviceArray>(m, "DeviceArray",
                          "An array in the memory of a GPU, which other libraries read without a copy by from_dlpack, and "
                          "to_host() copies to NumPy.")
      .def_static(
          "empty",
          [](const Extents& shape, const std::string& dtype, const Cuda& backend) {
            const Number number = number_named(dtype);
            const py::gil_scoped_release unlocked;
            return DeviceArray::empty(shape, number, backend);
          },
          "shape"_a, "dtype"_a, "backend"_a)
      .def_static("of", &DeviceArray::of, "array"_a, "backend"_a, "wait"_a)
      .def_static("from_host", &from_host, "array"_a, "backend"_a, "wait"_a = true)
      .def("to_host", &to_host, "A copy as a NumPy array; waits for the work on this one.")
      .def("reshape", &reshaped, "shape"_a)
      .def("__getitem__", &indexed, "index"_a)
      .def("__len__", &length_of)
      .def_property_readonly("shape", &shape_of)
      .def_property_readonly("strides", &strides_in_bytes)
      .def_property_readonly("ndim", [](const DeviceArray& a) { return a.shape.size(); })
      .def_property_readonly("is_contiguous", &DeviceArray::is_contiguous)
      .def_property_readonly("size", &DeviceArray::size)
      .def_property_readonly("itemsize", [](const DeviceArray& a) { return bytes_of(a.number); })
      .def_property_readonly("nbytes", [](const DeviceArray& a) { return a.size() * bytes_of(a.number); })
      .def_property_readonly("dtype", &dtype_of)
      .def_property_readonly("dtype_name", [](const DeviceArray& a) { return name_of(a.number); })
      .def_property_readonly("device", [](const DeviceArray& a) { return a.place.device; })
      .def_property_readonly("stream", [](const DeviceArray& a) { return reinterpret_cast<std::uintptr_t>(a.place.stream); })
      .def_property_readonly("backend", [](const DeviceArray& a) { return a.place; })
      .def_property_readonly("pointer", [](const DeviceArray& a) { return reinterpret_cast<std::uintptr_t>(a.data); })
      .def_property_readonly("base", [](const DeviceArray& a) { return a.base ? a.base : py::object(py::none()); })
      .def_readwrite("readonly", &DeviceArray::readonly)
      .def(
          "__dlpack__",
          [](const DeviceArray& a, const py::object& stream, const std::optional<std::tuple<int, int>>& max_version,
             const std::optional<std::tuple<int, int>>& dl_device, const std::optional<bool>& copy) {
            if (dl_device && *dl_device != std::tuple(2, a.place.device)) {
              throw py::buffer_error("the array does not leave its GPU; to_host() copies it to the host");
            }
            if (copy.value_or(false)) throw py::buffer_error("the array is handed on without a copy only");
            return a.dlpack(stream, max_version);
          },
          py::kw_only(), "stream"_a = py::none(), "max_version"_a = py::none(), "dl_device"_a = py::none(),
          "copy"_a = py::none())
      .def("__dlpack_device__", [](const DeviceArray& a) { return std::tuple(2, a.place.device); })
      .def_property_readonly("__cuda_array_interface__", &DeviceArray::cuda_array_interface)
      .def("__array__",
           [](const DeviceArray&, const py::args&, const py::kwargs&) -> py::object {
             throw py::type_error("this array is in the memory of a GPU; to_host() copies it to NumPy");
           })
      .def("__repr__", [](const DeviceArray& a) {
        return "DeviceArray(shape=" + std::string(py::str(shape_of(a))) + ", dtype=" + name_of(a.number) +
               ", device=" + std::to_string(a.place.device) + ")";
      });
}

}  // namespace

void bind_device_array(py::module_& m) {
  using namespace py::literals;
  py::class_<Cuda>(m, "Cuda")
      .def(py::init([](int device, std::uintptr_t stream, std::size_t max_memory) {
             return Cuda{device, stream_from(stream), max_memory};
           }),
           "device"_a = 0, "stream"_a = 0, "max_memory"_a = 0)
      .def_readonly("device", &Cuda::device)
      .def_property_readonly("stream", [](const Cuda& c) { return reinterpret_cast<std::uintptr_t>(c.stream); })
      .def_readonly("max_memory", &Cuda::max_memory)
      .def("finish", [](const Cuda& c) { finish(c); }, py::call_guard<py::gil_scoped_release>());
  bind_class(m);
}

}  // namespace fastntk::python

#endif
