// What the Python layer does with DeviceArrays besides the pipeline: checks, conversions, linear algebra, transfers.
#include "bindings.hpp"

#if FASTNTK_HAS_CUDA

#include <fastntk/config.hpp>
#include <fastntk/convert.hpp>
#include <fastntk/linear.hpp>
#include <fastntk/upload.hpp>

#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <vector>

#include "array_view.hpp"
#include "device_array.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void bind_functions(py::module_& m) {
  using namespace py::literals;
  m.def(
      "first_bad",
      [](const DeviceArgument<T>& x, bool nan_only,
         const Cuda& backend) -> std::optional<std::tuple<std::size_t, std::size_t, bool>> {
        const auto vx = input(backend, x, "x");
        const py::gil_scoped_release unlocked;
        const std::optional<BadEntry> found = first_bad<T>(backend, vx, nan_only ? Bad::nan : Bad::nan_or_infinite);
        if (!found) return std::nullopt;
        return std::tuple(found->row, found->col, found->nan);
      },
      py::arg("x").noconvert(), "nan_only"_a, "backend"_a);
  m.def(
      "take_rows",
      [](const DeviceArgument<T>& x, const DeviceArgument<std::int64_t>& index, const DeviceArgument<T>& out,
         const Cuda& backend) {
        const auto vx = input(backend, x, "x");
        const auto vout = output(backend, out, "out");
        const std::int64_t* const rows = vector_input(backend, index, vout.rows, "index");
        const py::gil_scoped_release unlocked;
        take_rows<T>(backend, vx, rows, vout);
      },
      py::arg("x").noconvert(), py::arg("index").noconvert(), py::arg("out").noconvert(), "backend"_a);
  m.def(
      "linear_map",
      [](const DeviceArgument<T>& z, const DeviceArgument<T>& coef, const DeviceArgument<T>& intercept,
         const DeviceArgument<T>& out, const Cuda& backend) {
        const auto vz = input(backend, z, "z");
        const auto vcoef = input(backend, coef, "coef");
        const auto vintercept = input(backend, intercept, "intercept");
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        linear_map<T>(backend, vz, vcoef, vintercept, vout);
      },
      py::arg("z").noconvert(), py::arg("coef").noconvert(), py::arg("intercept").noconvert(), py::arg("out").noconvert(),
      "backend"_a);
  m.def(
      "largest_entry",
      [](const DeviceArgument<T>& scores, const DeviceArgument<std::int64_t>& out, const Cuda& backend) {
        const auto vscores = input(backend, scores, "scores");
        auto* const index = const_cast<std::int64_t*>(vector_input(backend, out, vscores.rows, "out"));
        out.array->place = backend;
        const py::gil_scoped_release unlocked;
        largest_entry<T>(backend, vscores, index);
      },
      py::arg("scores").noconvert(), py::arg("out").noconvert(), "backend"_a);
  m.def(
      "row_squares",
      [](const DeviceArgument<T>& z, const DeviceArgument<T>& out, const Cuda& backend) {
        const auto vz = input(backend, z, "z");
        const auto vout = output(backend, out, "out");
        if (vout.rows != 1 || vout.cols != vz.rows) throw py::type_error("out is not one row of an entry per row of z");
        const py::gil_scoped_release unlocked;
        row_squares<T>(backend, vz, vout.data);
      },
      py::arg("z").noconvert(), py::arg("out").noconvert(), "backend"_a);
  m.def(
      "solve_positive_definite",
      [](const DeviceArgument<T>& k, const DeviceArgument<T>& y, double alpha, const Cuda& backend) {
        const auto vk = output(backend, k, "k");
        const auto vy = output(backend, y, "y");
        const py::gil_scoped_release unlocked;
        solve_positive_definite<T>(backend, alpha, vk, vy);
      },
      py::arg("k").noconvert(), py::arg("y").noconvert(), "alpha"_a, "backend"_a);
}

template <class T>
DeviceArray non_owning(T* data, std::size_t rows, std::size_t cols, std::size_t stride, const Cuda& place) {
  DeviceArray a;
  a.data = const_cast<std::remove_const_t<T>*>(data);
  a.number = number_of<std::remove_const_t<T>>;
  a.shape = {static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(cols)};
  a.strides = {static_cast<std::ptrdiff_t>(stride), 1};
  a.place = place;
  a.readonly = std::is_const_v<T>;
  return a;
}

// The downloads that are under way write into arrays that nobody else may hold.
template <Real T>
struct HostDownloader {
  HostDownloader(const Cuda& backend, std::size_t rows, std::size_t cols)
      : place(backend), downloader(backend, rows, cols) {}
  Cuda place;
  std::vector<py::object> targets;
  Downloader<T> downloader;
};

template <Real T>
void bind_transfers(py::module_& m) {
  using namespace py::literals;
  struct HostUploader {
    Cuda place;
    Uploader<T> uploader;
  };
  py::class_<HostUploader>(m, typed_name<T>("Uploader").c_str())
      .def(py::init([](const Cuda& backend, std::size_t rows, std::size_t cols) {
             const py::gil_scoped_release unlocked;
             return new HostUploader{backend, Uploader<T>(backend, rows, cols)};
           }),
           "backend"_a, "rows"_a, "cols"_a)
      .def(
          "__call__",
          [](HostUploader& self, const Array<T>& rows) {
            const auto from = input(Cpu{}, rows, "rows");
            const py::gil_scoped_release unlocked;
            const View<const T, Cuda> there = self.uploader(from);
            return non_owning(there.data, there.rows, there.cols, there.stride, self.place);
          },
          py::arg("rows").noconvert(), py::keep_alive<0, 1>());
  py::class_<HostDownloader<T>>(m, typed_name<T>("Downloader").c_str())
      .def(py::init<const Cuda&, std::size_t, std::size_t>(), "backend"_a, "rows"_a, "cols"_a,
           py::call_guard<py::gil_scoped_release>())
      .def(
          "block",
          [](HostDownloader<T>& self, std::size_t rows) {
            const py::gil_scoped_release unlocked;
            const View<T, Cuda> there = self.downloader.block(rows);
            return non_owning(there.data, there.rows, there.cols, there.stride, self.place);
          },
          "rows"_a, py::keep_alive<0, 1>())
      .def(
          "start",
          [](HostDownloader<T>& self, Array<T> out) {
            const auto to = output(Cpu{}, out, "out");
            self.targets.push_back(out);
            const py::gil_scoped_release unlocked;
            self.downloader.start(to);
          },
          py::arg("out").noconvert())
      .def("finish", [](HostDownloader<T>& self) {
        {
          const py::gil_scoped_release unlocked;
          self.downloader.finish();
        }
        self.targets.clear();
      });
}

}  // namespace

void bind_device_functions(py::module_& m) {
  using namespace py::literals;
  bind_functions<float>(m);
  bind_functions<double>(m);
  bind_transfers<float>(m);
  bind_transfers<double>(m);
  m.def(
      "block_rows",
      [](const Cuda& backend, std::size_t rows, std::size_t cols, std::size_t itemsize) {
        return itemsize == sizeof(float) ? block_rows<float>(backend, rows, cols) : block_rows<double>(backend, rows, cols);
      },
      "backend"_a, "rows"_a, "cols"_a, "itemsize"_a);
  m.def(
      "convert",
      [](const DeviceArray& x, DeviceArray& out, const Cuda& backend) {
        if (x.shape != out.shape || !out.is_contiguous() || out.readonly) {
          throw py::type_error("out is no writable row-major array of the shape of x");
        }
        x.use_on(backend, "x");
        out.use_on(backend, "out");
        out.place = backend;
        const py::gil_scoped_release unlocked;
        convert(backend, x.strided(), out.number, out.data);
      },
      "x"_a, "out"_a, "backend"_a);
  m.def(
      "memory",
      [](int device) {
        const DeviceMemory memory = device_memory(device);
        return std::tuple(memory.free, memory.total);
      },
      "device"_a, "Free and all bytes of a GPU's memory.");
  m.def("trim", &trim_memory, "device"_a, "Gives memory that is kept for workspace back to the driver; waits for the GPU.",
        py::call_guard<py::gil_scoped_release>());
  m.def(
      "csr_is_well_formed",
      [](const DeviceArgument<std::int32_t>& columns, const DeviceArgument<std::int64_t>& row_starts, std::size_t cols,
         const Cuda& backend) {
        const std::size_t entries = length(columns), starts = length(row_starts);
        const std::int32_t* const c = vector_input(backend, columns, entries, "columns");
        const std::int64_t* const r = vector_input(backend, row_starts, starts, "row_starts");
        const py::gil_scoped_release unlocked;
        return starts > 0 && csr_is_well_formed(backend, c, entries, r, starts - 1, cols);
      },
      py::arg("columns").noconvert(), py::arg("row_starts").noconvert(), "cols"_a, "backend"_a);
  m.def(
      "device_of",
      [](std::uintptr_t address) -> std::optional<int> {
        if (address == 0) return std::nullopt;
        return device_of(reinterpret_cast<const void*>(address));
      },
      "address"_a);
}

}  // namespace fastntk::python

#endif
