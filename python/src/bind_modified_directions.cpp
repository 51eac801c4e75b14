#include <fastntk/modified_directions.hpp>

#include <pybind11/native_enum.h>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  m.def(
      "sample_modified_directions",
      [](ModifiedSampler method, std::size_t chains, std::size_t burn_in, std::size_t sweeps, std::uint64_t seed,
         Argument<T, B> out, const B& backend) {
        const auto vout = output(backend, out, "out");
        const py::gil_scoped_release unlocked;
        sample_modified_directions<T, B>(backend, {method, chains, burn_in, sweeps, seed}, vout);
      },
      py::kw_only(), py::arg("method"), py::arg("chains"), py::arg("burn_in"), py::arg("sweeps"), py::arg("seed"),
      py::arg("out").noconvert(), py::arg("backend"));
}

void bind_enum(py::module_& m) {
  py::native_enum<ModifiedSampler>(m, "ModifiedSampler", "enum.Enum")
      .value("gibbs", ModifiedSampler::gibbs)
      .value("direct", ModifiedSampler::direct)
      .finalize();
}

}  // namespace

template <Backend B>
void bind_modified_directions(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_enum(m);
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_modified_directions)

}  // namespace fastntk::python
