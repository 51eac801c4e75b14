#include "device_array.hpp"

#if FASTNTK_HAS_CUDA

#include <fastntk/memory.hpp>

#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "dlpack.hpp"

namespace fastntk::python {
namespace {

std::vector<std::ptrdiff_t> row_major(const std::vector<std::ptrdiff_t>& shape) {
  std::vector<std::ptrdiff_t> strides(shape.size());
  std::ptrdiff_t step = 1;
  for (std::size_t k = shape.size(); k-- > 0;) {
    strides[k] = step;
    step *= shape[k];
  }
  return strides;
}

// Throws ValueError if no array has this shape.
void require_possible(const std::vector<std::ptrdiff_t>& shape) {
  if (!element_count(shape)) throw py::value_error("its shape has a negative length, or more elements than memory can hold");
}

// What keeps a Python object alive; may be dropped by a thread that does not hold the GIL.
std::shared_ptr<void> keep(py::object object) {
  return {new py::object(std::move(object)), [](void* kept) {
            if (!Py_IsInitialized()) return;
            const py::gil_scoped_acquire locked;
            delete static_cast<py::object*>(kept);
          }};
}

// Others may run while the device is waited for, if this thread holds the GIL.
template <class F>
void without_gil(F&& f) {
  if (Py_IsInitialized() && PyGILState_Check()) {
    const py::gil_scoped_release unlocked;
    f();
  } else {
    f();
  }
}

// Drops `memory` when the work queued on the stream by then is done.
std::shared_ptr<void> keep_until_done(std::shared_ptr<void> memory, const Cuda& place) {
  return {new std::shared_ptr<void>(std::move(memory)), [place](void* kept) {
            try {
              without_gil([&] { finish(place); });
            } catch (const std::exception&) {  // reported by the next call that waits
            }
            delete static_cast<std::shared_ptr<void>*>(kept);
          }};
}

// --- DLPack ---

Number number_from(const dlpack::DataType& type) {
  if (type.lanes == 1) {
    switch (type.code << 8 | type.bits) {
      case dlpack::boolean << 8 | 8:
        return Number::boolean;
      case dlpack::integer << 8 | 8:
        return Number::int8;
      case dlpack::integer << 8 | 16:
        return Number::int16;
      case dlpack::integer << 8 | 32:
        return Number::int32;
      case dlpack::integer << 8 | 64:
        return Number::int64;
      case dlpack::unsigned_integer << 8 | 8:
        return Number::uint8;
      case dlpack::unsigned_integer << 8 | 16:
        return Number::uint16;
      case dlpack::unsigned_integer << 8 | 32:
        return Number::uint32;
      case dlpack::unsigned_integer << 8 | 64:
        return Number::uint64;
      case dlpack::floating << 8 | 16:
        return Number::float16;
      case dlpack::bfloat << 8 | 16:
        return Number::bfloat16;
      case dlpack::floating << 8 | 32:
        return Number::float32;
      case dlpack::floating << 8 | 64:
        return Number::float64;
      default:
        break;
    }
  }
  throw py::type_error("its dtype is not supported; float32, float64, float16, bfloat16, integers and bool are");
}

dlpack::DataType data_type(Number number) {
  const auto bits = static_cast<std::uint8_t>(8 * bytes_of(number));
  switch (number) {
    case Number::boolean:
      return {dlpack::boolean, bits, 1};
    case Number::int8:
    case Number::int16:
    case Number::int32:
    case Number::int64:
      return {dlpack::integer, bits, 1};
    case Number::uint8:
    case Number::uint16:
    case Number::uint32:
    case Number::uint64:
      return {dlpack::unsigned_integer, bits, 1};
    case Number::bfloat16:
      return {dlpack::bfloat, bits, 1};
    default:
      return {dlpack::floating, bits, 1};
  }
}

DeviceArray from_tensor(const dlpack::Tensor& tensor, const Cuda& place) {
  if (tensor.device.type != dlpack::cuda && tensor.device.type != dlpack::cuda_managed) {
    throw py::buffer_error("it is not in the memory of an NVIDIA GPU");
  }
  if (tensor.device.type == dlpack::cuda && tensor.device.id != place.device) {
    throw py::buffer_error("it is on GPU " + std::to_string(tensor.device.id) + ", not " + std::to_string(place.device));
  }
  DeviceArray a;
  a.number = number_from(tensor.dtype);
  if (tensor.data) a.data = static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
  a.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  require_possible(a.shape);
  if (tensor.strides) {
    a.strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  } else {
    a.strides = row_major(a.shape);
  }
  a.place = place;
  return a;
}

template <class M>
DeviceArray from_managed(M* managed, const Cuda& place) {
  // Owned from here on, whatever is wrong with it.
  std::shared_ptr<void> memory(managed, [](void* m) {
    auto* const owned = static_cast<M*>(m);
    if (owned->deleter) owned->deleter(owned);
  });
  if constexpr (std::same_as<M, dlpack::ManagedVersioned>) {
    if (managed->version.major != 1) {
      throw py::buffer_error("it speaks version " + std::to_string(managed->version.major) + " of DLPack, not 1");
    }
  }
  DeviceArray a = from_tensor(managed->tensor, place);
  if constexpr (std::same_as<M, dlpack::ManagedVersioned>) a.readonly = managed->flags & dlpack::read_only;
  a.memory = std::move(memory);
  return a;
}

template <class M>
M* taken(const py::object& capsule, const char* name, const char* used_name) {
  void* const managed = PyCapsule_GetPointer(capsule.ptr(), name);
  if (!managed || PyCapsule_SetName(capsule.ptr(), used_name) != 0) throw py::error_already_set();
  return static_cast<M*>(managed);
}

DeviceArray from_dlpack(const py::object& array, const Cuda& place) {
  using namespace py::literals;
  const py::object method = array.attr("__dlpack__");
  const py::int_ stream(stream_number(place));
  py::object capsule;
  try {
    capsule = method("stream"_a = stream, "max_version"_a = py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // from before version 1
    capsule = method("stream"_a = stream);
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    return from_managed(taken<dlpack::ManagedVersioned>(capsule, "dltensor_versioned", "used_dltensor_versioned"), place);
  }
  return from_managed(taken<dlpack::Managed>(capsule, "dltensor", "used_dltensor"), place);
}

// The export owns a copy of the array; whoever takes it may drop it from any thread.
template <class M>
py::capsule exported(const DeviceArray& a, const char* name) {
  struct Export {
    DeviceArray array;
    std::vector<std::int64_t> shape, strides;
    M managed{};
  };
  auto owned = std::make_unique<Export>();
  owned->array = a;
  owned->shape.assign(a.shape.begin(), a.shape.end());
  owned->strides.assign(a.strides.begin(), a.strides.end());
  M& managed = owned->managed;
  managed.tensor = {a.data,
                    {dlpack::cuda, a.place.device},
                    static_cast<std::int32_t>(a.shape.size()),
                    data_type(a.number),
                    owned->shape.data(),
                    owned->strides.data(),
                    0};
  managed.context = owned.get();
  managed.deleter = [](M* m) {
    if (!Py_IsInitialized()) return;
    const py::gil_scoped_acquire locked;
    delete static_cast<Export*>(m->context);
  };
  if constexpr (std::same_as<M, dlpack::ManagedVersioned>) {
    managed.version = {1, 0};
    managed.flags = a.readonly ? std::uint64_t{dlpack::read_only} : 0;
  }
  const auto release = [](PyObject* capsule) {
    // A consumer has renamed it, and calls the deleter itself.
    const char* const found = PyCapsule_GetName(capsule);
    const char* const unused = std::same_as<M, dlpack::Managed> ? "dltensor" : "dltensor_versioned";
    if (!found || std::string(found) != unused) return;
    auto* const m = static_cast<M*>(PyCapsule_GetPointer(capsule, found));
    m->deleter(m);
  };
  py::capsule capsule(&managed, name, release);
  owned.release();
  return capsule;
}

// --- the CUDA array interface ---

Number number_from(const std::string& typestr) {
  const char order = typestr.empty() ? '?' : typestr[0];
  const std::string kind = typestr.size() > 1 ? typestr.substr(1) : "";
  if (order == '<' || order == '|' || order == '=') {
    constexpr std::pair<const char*, Number> kinds[] = {
        {"b1", Number::boolean}, {"i1", Number::int8},    {"i2", Number::int16},   {"i4", Number::int32},
        {"i8", Number::int64},   {"u1", Number::uint8},   {"u2", Number::uint16},  {"u4", Number::uint32},
        {"u8", Number::uint64},  {"f2", Number::float16}, {"f4", Number::float32}, {"f8", Number::float64},
    };
    for (const auto& [name, number] : kinds) {
      if (kind == name) return number;
    }
  }
  throw py::type_error("its dtype '" + typestr +
                       "' is not supported; float32, float64, float16, integers and bool of this machine's byte order are");
}

const char* typestr_of(Number number) {
  constexpr const char* names[] = {"|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "", "<f4", "<f8"};
  return names[static_cast<std::size_t>(number)];
}

DeviceArray from_interface(const py::object& array, const Cuda& place) {
  const py::dict interface = array.attr("__cuda_array_interface__");
  const auto entry = [&](const char* name) -> py::object {
    return interface.contains(name) ? py::object(interface[name]) : py::none();
  };
  const auto read = [&]<class T>(const char* name, T) {
    try {
      return entry(name).cast<T>();
    } catch (const py::cast_error&) {
      throw py::type_error("its __cuda_array_interface__ has no proper \"" + std::string(name) + "\"");
    }
  };
  if (!entry("mask").is_none()) throw py::type_error("it has a mask");
  DeviceArray a;
  a.number = number_from(read("typestr", std::string()));
  const auto [address, readonly] = read("data", std::pair<std::uintptr_t, bool>());
  a.data = reinterpret_cast<void*>(address);
  a.readonly = readonly;
  a.shape = read("shape", std::vector<std::ptrdiff_t>());
  require_possible(a.shape);
  a.strides = row_major(a.shape);
  if (const py::object given = entry("strides"); !given.is_none()) {
    a.strides = read("strides", std::vector<std::ptrdiff_t>());
    if (a.strides.size() != a.shape.size()) throw py::value_error("its strides and shape have different lengths");
    for (std::ptrdiff_t& stride : a.strides) {
      const auto item = static_cast<std::ptrdiff_t>(bytes_of(a.number));
      if (stride % item != 0) throw py::type_error("its strides are no multiples of its items");
      stride /= item;
    }
  }
  a.place = place;
  if (a.size() > 0 && device_of(a.data) != place.device) {
    throw py::value_error("it is on GPU " + std::to_string(device_of(a.data)) + ", not " + std::to_string(place.device));
  }
  if (const py::object stream = entry("stream"); !stream.is_none()) {
    const auto handle = read("stream", std::uintptr_t());
    if (handle == 0) throw py::value_error("its stream is 0, which says nothing: 1 is the default stream");
    run_after({place.device, stream_from(handle), 0}, place);
  }
  a.memory = keep(array);
  return a;
}

}  // namespace

CUstream_st* stream_from(std::uintptr_t handle) { return handle == 1 ? nullptr : reinterpret_cast<CUstream_st*>(handle); }

std::uintptr_t stream_number(const Cuda& place) {
  return place.stream ? reinterpret_cast<std::uintptr_t>(place.stream) : std::uintptr_t{1};
}

std::optional<std::size_t> element_count(const std::vector<std::ptrdiff_t>& shape) {
  // Of eight bytes each, as the largest are.
  constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / 8;
  if (std::any_of(shape.begin(), shape.end(), [](std::ptrdiff_t n) { return n < 0; })) return std::nullopt;
  std::size_t elements = 1;  // without regard to lengths of 0, so that strides do not overflow either
  for (const std::ptrdiff_t n : shape) {
    const auto length = static_cast<std::size_t>(std::max<std::ptrdiff_t>(n, 1));
    if (length > most / elements) return std::nullopt;
    elements *= length;
  }
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? elements : 0;
}

std::size_t DeviceArray::size() const {
  std::size_t elements = 1;
  for (const std::ptrdiff_t n : shape) elements *= static_cast<std::size_t>(n);
  return elements;
}

bool DeviceArray::is_contiguous() const {
  const std::vector<std::ptrdiff_t> dense = row_major(shape);
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (shape[k] > 1 && strides[k] != dense[k]) return size() == 0;
  }
  return true;
}

StridedArray DeviceArray::strided() const { return {data, number, {shape.begin(), shape.end()}, strides}; }

DeviceArray DeviceArray::unnamed() const {
  DeviceArray a;
  a.data = data;
  a.number = number;
  a.shape = shape;
  a.strides = strides;
  a.place = place;
  a.readonly = readonly;
  a.memory = memory;
  return a;
}

DeviceArray DeviceArray::empty(const std::vector<std::ptrdiff_t>& shape, Number number, const Cuda& place) {
  require_possible(shape);
  DeviceArray a;
  a.number = number;
  a.shape = shape;
  a.strides = row_major(shape);
  a.place = place;
  if (a.size() > 0) {
    a.data = allocate(place, a.size() * bytes_of(number));
    a.memory = {a.data, [place](void* memory) { without_gil([&] { deallocate(place, memory); }); }};
  }
  return a;
}

DeviceArray DeviceArray::of(const py::object& array, const Cuda& place, bool wait) {
  DeviceArray a;
  if (py::isinstance<DeviceArray>(array)) {
    a = array.cast<const DeviceArray&>();
    a.use_on(place, "array");
    a.place = place;
    return a;
  }
  if (py::hasattr(array, "__dlpack__")) {
    a = from_dlpack(array, place);
  } else if (py::hasattr(array, "__cuda_array_interface__")) {
    a = from_interface(array, place);
  } else {
    throw py::type_error("it has neither __dlpack__ nor __cuda_array_interface__");
  }
  if (wait) a.memory = keep_until_done(std::move(a.memory), place);
  a.base = array;
  return a;
}

void DeviceArray::use_on(const Cuda& backend, const char* name) const {
  if (backend.device != place.device) {
    throw py::value_error(std::string(name) + " is on GPU " + std::to_string(place.device) + "; GPU " +
                          std::to_string(backend.device) + " computes");
  }
  if (backend.stream != place.stream) run_after(place, backend);
}

py::capsule DeviceArray::dlpack(const py::object& stream, const std::optional<std::tuple<int, int>>& max_version) const {
  // Without a word about its stream, the consumer's is the legacy default stream; -1 is one that will wait by itself.
  if (!stream.is_none() && !PyIndex_Check(stream.ptr())) throw py::type_error("stream is neither an integer nor None");
  const std::intptr_t consumer = stream.is_none() ? 1 : PyNumber_AsSsize_t(stream.ptr(), PyExc_ValueError);
  if (PyErr_Occurred()) throw py::error_already_set();
  if (consumer == 0) throw py::value_error("stream is 0, which is ambiguous; 1, 2, a handle or -1 is allowed");
  if (consumer < -1) {
    throw py::value_error("stream is " + std::to_string(consumer) + "; 1, 2, a handle or -1 is allowed");
  }
  if (consumer != -1 && size() > 0) {
    const Cuda there{place.device, stream_from(static_cast<std::uintptr_t>(consumer)), 0};
    if (there.stream != place.stream) run_after(place, there);
  }
  if (max_version && std::get<0>(*max_version) >= 1) return exported<dlpack::ManagedVersioned>(*this, "dltensor_versioned");
  if (readonly) throw py::buffer_error("a read-only array needs version 1 of DLPack");
  return exported<dlpack::Managed>(*this, "dltensor");
}

py::dict DeviceArray::cuda_array_interface() const {
  using namespace py::literals;
  if (number == Number::bfloat16) throw py::attribute_error("the CUDA array interface has no bfloat16");
  const py::tuple extents = py::cast(shape).cast<py::tuple>();
  py::object steps = py::none();
  if (!is_contiguous()) {
    std::vector<std::ptrdiff_t> bytes = strides;
    for (std::ptrdiff_t& stride : bytes) stride *= static_cast<std::ptrdiff_t>(bytes_of(number));
    steps = py::tuple(py::cast(bytes));
  }
  return py::dict("version"_a = 3, "shape"_a = extents, "typestr"_a = typestr_of(number),
                  "data"_a = py::make_tuple(reinterpret_cast<std::uintptr_t>(size() > 0 ? data : nullptr), readonly),
                  "strides"_a = steps, "stream"_a = stream_number(place));
}

}  // namespace fastntk::python

#endif
