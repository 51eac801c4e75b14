#include <fastntk/leverage.hpp>

#include <pybind11/native_enum.h>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

void bind_enum(py::module_& m) {
  py::native_enum<GibbsMoves>(m, "GibbsMoves", "enum.Enum")
      .value("coordinates", GibbsMoves::coordinates)
      .value("lines", GibbsMoves::lines)
      .value("circles", GibbsMoves::circles)
      .finalize();
}

}  // namespace

template <Backend B>
void bind_leverage_sampler(py::module_& m) {
  if constexpr (std::same_as<B, Cpu>) bind_enum(m);
  m.def(
      "sample_leverage_directions",
      [](FeatureFamily family, GibbsMoves moves, std::size_t chains, std::size_t first_chain, std::size_t burn_in,
         std::size_t thinning, std::uint64_t seed, const Argument<double, B>& x, const Argument<double, B>& inverse,
         Argument<double, B> directions, Argument<double, B> ratio, const B& backend) {
        const auto vx = input(backend, x, "x");
        const auto vinverse = input(backend, inverse, "inverse");
        const auto vdirections = output(backend, directions, "directions");
        const auto vratio = output(backend, ratio, "ratio");
        const py::gil_scoped_release unlocked;
        const LeverageSampler<B> sampler({family, moves, chains, first_chain, burn_in, thinning, seed}, vx, vinverse,
                                         backend);
        sampler(vdirections, vratio);
      },
      py::kw_only(), py::arg("family"), py::arg("moves"), py::arg("chains"), py::arg("first_chain"), py::arg("burn_in"),
      py::arg("thinning"), py::arg("seed"), py::arg("x").noconvert(), py::arg("inverse").noconvert(),
      py::arg("directions").noconvert(), py::arg("ratio").noconvert(), py::arg("backend"));
}
FASTNTK_BIND_BACKENDS(bind_leverage_sampler)

}  // namespace fastntk::python
