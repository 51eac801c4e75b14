#include <fastntk/rng.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

// Fills `out` with the 64-bit words of a stream from index `first` on.
template <rng::Stream stream>
void words(std::uint64_t seed, std::uint64_t first, Array<std::uint64_t> out) {
  std::uint64_t* const data = out.mutable_data();
  const auto count = static_cast<std::uint64_t>(out.size());
  const py::gil_scoped_release unlocked;
  const rng::Draws draws{seed, stream};
  for (std::uint64_t i = 0; i < count; ++i) data[i] = draws.word64(first + i);
}

// Fills `out` with standard normals from index `first` on.
void normals(std::uint64_t seed, std::uint64_t first, Array<double> out) {
  double* const data = out.mutable_data();
  const auto count = static_cast<std::uint64_t>(out.size());
  const py::gil_scoped_release unlocked;
  const rng::Draws draws{seed, rng::Stream::normal};
  for (std::uint64_t i = 0; i < count; ++i) data[i] = draws.normal(first + i);
}

}  // namespace

void bind_rng(py::module_& m) {
  m.def("child_seed", &rng::child_seed, py::arg("seed"), py::arg("index"));
  m.def("normals", &normals, py::arg("seed"), py::arg("first"), py::arg("out").noconvert());
  m.def("holdout_words", &words<rng::Stream::holdout>, py::arg("seed"), py::arg("first"), py::arg("out").noconvert());
  m.def("landmark_words", &words<rng::Stream::landmark>, py::arg("seed"), py::arg("first"), py::arg("out").noconvert());
}

}  // namespace fastntk::python
