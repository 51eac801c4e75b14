#include <fastntk/ridge.hpp>

#include <pybind11/stl.h>

#include <optional>
#include <tuple>

#include "array_view.hpp"
#include "bindings.hpp"

namespace fastntk::python {
namespace {

template <Real T>
void update(RidgeState<Cpu>& state, const Array<T>& z, const Array<double>& y, const std::optional<Array<double>>& weights) {
  const auto vz = input<T>(z, "z");
  const auto vy = input<double>(y, "y");
  const double* weight = weights ? vector_input<double>(*weights, vz.rows, "sample_weight") : nullptr;
  const py::gil_scoped_release unlocked;
  state.template update<T>(vz, vy, weight);
}

}  // namespace

void bind_ridge(py::module_& m) {
  using State = RidgeState<Cpu>;
  py::class_<State>(m, "RidgeState")
      .def(py::init([](std::size_t n_features, std::size_t n_targets, int threads) {
             const py::gil_scoped_release unlocked;
             return State({n_features, n_targets}, Cpu{threads});
           }),
           py::arg("n_features"), py::arg("n_targets"), py::arg("threads"))
      .def("update", &update<float>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"))
      .def("update", &update<double>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"))
      .def("merge", &State::merge, py::arg("other"), py::call_guard<py::gil_scoped_release>())
      .def(
          "solve",
          [](const State& state, double alpha, bool fit_intercept, Array<double> coef, Array<double> intercept,
             bool with_gcv, bool mixed) {
            const auto vcoef = output<double>(coef, "coef");
            const auto vintercept = output<double>(intercept, "intercept");
            RidgeSolution solution;
            {
              const py::gil_scoped_release unlocked;
              solution = state.solve({alpha, fit_intercept, with_gcv, mixed ? RidgeFactor::mixed : RidgeFactor::float64},
                                     vcoef, vintercept);
            }
            return std::tuple(solution.gcv, solution.jitter);
          },
          py::arg("alpha"), py::arg("fit_intercept"), py::arg("coef").noconvert(), py::arg("intercept").noconvert(),
          py::arg("with_gcv"), py::arg("mixed"))
      .def_property_readonly("rows", &State::rows)
      .def_property_readonly("total_weight", &State::total_weight)
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
      .def_static(
          "from_bytes",
          [](const std::string& data, int threads) {
            const py::gil_scoped_release unlocked;
            return State::from_bytes(data, Cpu{threads});
          },
          py::arg("data"), py::arg("threads"));
}

}  // namespace fastntk::python
