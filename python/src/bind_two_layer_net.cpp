#include <memory>

#include "bindings.hpp"
#include "net_methods.hpp"

namespace fastntk::python {
namespace {

template <Real T, Backend B>
void bind(py::module_& m) {
  using Net = TwoLayerNet<T, B>;
  py::class_<InTurn<Net>> net_class(m, typed_name<T>("TwoLayerNet").c_str());
  net_class.def(py::init([](const Argument<T, B>& start, const Argument<T, B>& out_weights, const B& backend) {
                  const auto vstart = input(backend, start, "start");
                  const auto vout = input(backend, out_weights, "out_weights");
                  const py::gil_scoped_release unlocked;
                  return std::make_unique<InTurn<Net>>(vstart, vout, backend);
                }),
                py::kw_only(), py::arg("start").noconvert(), py::arg("out_weights").noconvert(), py::arg("backend"));
  def_net<T, B>(net_class);
  net_class.def_property_readonly("width", [](const InTurn<Net>& net) { return net.fixed().width(); })
      .def_property_readonly("in_features", [](const InTurn<Net>& net) { return net.fixed().in_features(); })
      .def_property_readonly("outputs", [](const InTurn<Net>& net) { return net.fixed().outputs(); });
}

}  // namespace

template <Backend B>
void bind_two_layer_net(py::module_& m) {
  bind<float, B>(m);
  bind<double, B>(m);
}
FASTNTK_BIND_BACKENDS(bind_two_layer_net)

}  // namespace fastntk::python
