#include <fastntk/rng.hpp>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {

void bind_rng(py::module_& m) {
  m.def(
      "holdout_words",
      [](std::uint64_t seed, std::uint64_t first, Array<std::uint64_t> out) {
        std::uint64_t* words = out.mutable_data();
        const auto count = static_cast<std::uint64_t>(out.size());
        const py::gil_scoped_release unlocked;
        const rng::Draws draws{seed, rng::Stream::holdout};
        for (std::uint64_t i = 0; i < count; ++i) words[i] = draws.word64(first + i);
      },
      py::arg("seed"), py::arg("first"), py::arg("out").noconvert());
}

}  // namespace fastntk::python
