#include <fastntk/nets.hpp>

#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "bindings.hpp"
#include "net_methods.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Net = DeepNet<T, B>;
  py::class_<InTurn<Net>> net_class(m, typed_name<T>("DeepNet").c_str());
  net_class
      .def(py::init([](std::size_t in_features, const std::vector<std::size_t>& widths, std::size_t outputs, bool doubled,
                       std::uint64_t seed, const B& backend) {
             const py::gil_scoped_release unlocked;
             return std::make_unique<InTurn<Net>>(DeepNetParams{in_features, widths, outputs, doubled, seed}, backend);
           }),
           py::kw_only(), py::arg("in_features"), py::arg("widths"), py::arg("outputs"), py::arg("doubled"), py::arg("seed"),
           py::arg("backend"))
      .def_property_readonly("parameters", [](const InTurn<Net>& net) { return net.fixed().parameters(); });
  def_net<T, B>(net_class);
}

}  // namespace

template <Backend B>
void bind_deep_net(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_deep_net)

}  // namespace fastntk::python
