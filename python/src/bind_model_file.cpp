#include <fastntk/checksum.hpp>
#include <fastntk/model.hpp>
#include <fastntk/model_file.hpp>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

namespace py = pybind11;

py::dtype dtype_of(Number number) {
  switch (number) {
    case Number::float64:
      return py::dtype::of<double>();
    case Number::float32:
      return py::dtype::of<float>();
    case Number::int64:
      return py::dtype::of<std::int64_t>();
    case Number::int32:
      return py::dtype::of<std::int32_t>();
    case Number::int16:
      return py::dtype::of<std::int16_t>();
    case Number::int8:
      return py::dtype::of<std::int8_t>();
    case Number::uint64:
      return py::dtype::of<std::uint64_t>();
    case Number::uint32:
      return py::dtype::of<std::uint32_t>();
    case Number::uint16:
      return py::dtype::of<std::uint16_t>();
    default:  // the reader has no others
      return py::dtype::of<std::uint8_t>();
  }
}

// The tensor's memory as an array, which keeps it.
py::array array_of(const ModelTensor& tensor) {
  auto kept = std::make_unique<std::shared_ptr<void>>(tensor.data);
  const py::capsule owner(kept.get(), [](void* memory) { delete static_cast<std::shared_ptr<void>*>(memory); });
  static_cast<void>(kept.release());
  return py::array(dtype_of(tensor.number), tensor.shape, tensor.data.get(), owner);
}

std::pair<py::str, py::dict> read_model_file(const std::filesystem::path& path, bool with_state) {
  const ModelFile file = [&] {
    const py::gil_scoped_release unlocked;
    return ModelFile::read(path, with_state);
  }();
  py::dict tensors;
  for (const auto& [name, tensor] : file.tensors()) tensors[py::str(name)] = array_of(tensor);
  return {py::str(file.text()), tensors};
}

}  // namespace

void bind_model_file(py::module_& m) {
  m.def("read_model_file", &read_model_file, py::arg("path"), py::arg("with_state") = true);
  m.def("require_model_map", &require_model_map, py::arg("text"), py::arg("columns"), py::arg("features"));
  py::class_<Checksum>(m, "Checksum")
      .def(py::init<std::uint64_t>(), py::arg("size"))
      .def(
          "add",
          [](Checksum& sum, const py::buffer& data) {
            const py::buffer_info info = data.request();
            const std::string_view bytes = byte_view(info);
            const py::gil_scoped_release unlocked;
            sum.add(bytes.data(), bytes.size());
          },
          py::arg("data"))
      .def_property_readonly("value", &Checksum::value);
}

}  // namespace fastntk::python
