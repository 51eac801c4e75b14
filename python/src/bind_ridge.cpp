#include <fastntk/ridge.hpp>

#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

// Weights and solutions are on the host, whatever the backend.
template <Real T, Backend B>
void update(RidgeState<B>& state, const Argument<T, B>& z, const Argument<double, B>& y,
            const std::optional<Array<double>>& weights, const B& backend) {
  const auto vz = input(backend, z, "z");
  const auto vy = input(backend, y, "y");
  const double* weight = weights ? vector_input(Cpu{}, *weights, vz.rows, "sample_weight") : nullptr;
  const py::gil_scoped_release unlocked;
  state.run_on(backend);
  state.template update<T>(vz, vy, weight);
}

}  // namespace

template <Backend B>
void bind_ridge(py::module_& m) {
  using State = RidgeState<B>;
  py::class_<State>(m, "RidgeState")
      .def(py::init([](std::size_t n_features, std::size_t n_targets, const B& backend) {
             const py::gil_scoped_release unlocked;
             return State({n_features, n_targets}, backend);
           }),
           py::arg("n_features"), py::arg("n_targets"), py::arg("backend"))
      .def("run_on", &State::run_on, py::arg("backend"), py::call_guard<py::gil_scoped_release>())
      .def("update", &update<float, B>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"),
           py::arg("backend"))
      .def("update", &update<double, B>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"),
           py::arg("backend"))
      .def("merge", &State::merge, py::arg("other"), py::call_guard<py::gil_scoped_release>())
      .def("subtract", &State::subtract, py::arg("other"), py::call_guard<py::gil_scoped_release>())
      .def(
          "solve",
          [](const State& state, double alpha, bool fit_intercept, Array<double> coef, Array<double> intercept,
             bool with_gcv, bool with_condition, bool mixed) {
            const auto vcoef = output(Cpu{}, coef, "coef");
            const auto vintercept = output(Cpu{}, intercept, "intercept");
            RidgeSolution solution;
            {
              const py::gil_scoped_release unlocked;
              const RidgeFactor factor = mixed ? RidgeFactor::mixed : RidgeFactor::float64;
              solution = state.solve({alpha, fit_intercept, with_gcv, factor, with_condition}, vcoef, vintercept);
            }
            return std::tuple(solution.gcv, solution.jitter, solution.factor == RidgeFactor::mixed, solution.condition,
                              solution.resolution);
          },
          py::arg("alpha"), py::arg("fit_intercept"), py::arg("coef").noconvert(), py::arg("intercept").noconvert(),
          py::arg("with_gcv"), py::arg("with_condition"), py::arg("mixed"))
      .def(
          "equations",
          [](const State& state, bool fit_intercept, Array<double> gram, Array<double> rhs, Array<double> mean,
             Array<double> target_mean, Array<double> variation) {
            const RidgeEquations out{output(Cpu{}, gram, "gram"), output(Cpu{}, rhs, "rhs"), output(Cpu{}, mean, "mean"),
                                     output(Cpu{}, target_mean, "target_mean"), output(Cpu{}, variation, "variation")};
            const py::gil_scoped_release unlocked;
            state.equations(fit_intercept, out);
          },
          py::arg("fit_intercept"), py::arg("gram").noconvert(), py::arg("rhs").noconvert(), py::arg("mean").noconvert(),
          py::arg("target_mean").noconvert(), py::arg("variation").noconvert())
      .def_property_readonly("rows", &State::rows)
      .def_property_readonly("total_weight", &State::total_weight)
      .def("target_sums", &State::target_sums, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("n_features", [](const State& state) { return state.params().n_features; })
      .def_property_readonly("n_targets", [](const State& state) { return state.params().n_targets; })
      .def("to_bytes",
           [](const State& state) {
             std::string bytes;
             {
               const py::gil_scoped_release unlocked;
               bytes = state.to_bytes();
             }
             return py::bytes(bytes);
           })
      .def("to_buffer",
           [](const State& state) {
             std::unique_ptr<std::string> bytes;
             {
               const py::gil_scoped_release unlocked;
               bytes = std::make_unique<std::string>(state.to_bytes());
             }
             const py::capsule owner(bytes.get(), [](void* owned) { delete static_cast<std::string*>(owned); });
             const std::string& kept = *bytes.release();
             return py::array_t<std::uint8_t>(static_cast<py::ssize_t>(kept.size()),
                                              reinterpret_cast<const std::uint8_t*>(kept.data()), owner);
           })
      .def_static(
          "from_bytes",
          [](const py::buffer& data, const B& backend) {
            const py::buffer_info info = data.request();
            if (info.ndim != 1 || info.itemsize != 1 || (info.size > 0 && info.strides[0] != 1)) {
              throw py::type_error("RidgeState: bytes are needed");
            }
            const std::string_view bytes(static_cast<const char*>(info.ptr), static_cast<std::size_t>(info.size));
            const py::gil_scoped_release unlocked;
            return State::from_bytes(bytes, backend);
          },
          py::arg("data"), py::arg("backend"));
}
FASTNTK_BIND_BACKENDS(bind_ridge)

}  // namespace fastntk::python
