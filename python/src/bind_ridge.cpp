#include <fastntk/ridge.hpp>

#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "array_view.hpp"
#include "bindings.hpp"
#include "in_turn.hpp"

namespace fastntk::python {
namespace {

// Weights and solutions are on the host, whatever the backend.
template <Real T, Backend B>
void update(InTurn<RidgeState<B>>& state, const Argument<T, B>& z, const Argument<double, B>& y,
            const std::optional<Array<double>>& weights, const B& backend) {
  const auto vz = input(backend, z, "z");
  const auto vy = input(backend, y, "y");
  const double* weight = weights ? vector_input(Cpu{}, *weights, vz.rows, "sample_weight") : nullptr;
  state([&](RidgeState<B>& own) {
    own.run_on(backend);
    own.template update<T>(vz, vy, weight);
  });
}

/// An array of bytes that `owner` owns; it may not be changed, and Dask does not copy it when it comes.
py::array fixed_array(std::string_view bytes, const py::object& owner) {
  py::array_t<std::uint8_t> array(static_cast<py::ssize_t>(bytes.size()),
                                  reinterpret_cast<const std::uint8_t*>(bytes.data()), owner);
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

py::array fixed_array(std::string bytes) {
  auto kept = std::make_unique<std::string>(std::move(bytes));
  const std::string& there = *kept;
  return fixed_array(there, py::capsule(kept.release(), [](void* owned) { delete static_cast<std::string*>(owned); }));
}

}  // namespace

template <Backend B>
void bind_ridge(py::module_& m) {
  using State = RidgeState<B>;
  using Shared = InTurn<State>;
  py::class_<Shared>(m, "RidgeState")
      .def(py::init([](std::size_t n_features, std::size_t n_targets, const B& backend) {
             const py::gil_scoped_release unlocked;
             return std::make_unique<Shared>(RidgeStateParams{n_features, n_targets}, backend);
           }),
           py::arg("n_features"), py::arg("n_targets"), py::arg("backend"))
      .def(
          "run_on", [](Shared& state, const B& backend) { state([&](State& own) { own.run_on(backend); }); },
          py::arg("backend"))
      .def("update", &update<float, B>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"),
           py::arg("backend"))
      .def("update", &update<double, B>, py::arg("z").noconvert(), py::arg("y").noconvert(), py::arg("sample_weight"),
           py::arg("backend"))
      .def(
          "merge", [](Shared& state, Shared& other) { state.with(other, [](State& a, const State& b) { a.merge(b); }); },
          py::arg("other"))
      .def(
          "subtract",
          [](Shared& state, Shared& other) { state.with(other, [](State& a, const State& b) { a.subtract(b); }); },
          py::arg("other"))
      .def(
          "solve",
          [](Shared& state, double alpha, bool fit_intercept, Array<double> coef, Array<double> intercept, bool with_gcv,
             bool with_condition, bool mixed) {
            const auto vcoef = output(Cpu{}, coef, "coef");
            const auto vintercept = output(Cpu{}, intercept, "intercept");
            const RidgeSolution solution = state([&](const State& own) {
              const RidgePrecision precision = mixed ? RidgePrecision::mixed : RidgePrecision::float64;
              return own.solve({alpha, fit_intercept, with_gcv, precision, with_condition}, vcoef, vintercept);
            });
            return std::tuple(solution.gcv, solution.jitter, solution.precision == RidgePrecision::mixed, solution.condition,
                              solution.resolution);
          },
          py::arg("alpha"), py::arg("fit_intercept"), py::arg("coef").noconvert(), py::arg("intercept").noconvert(),
          py::arg("with_gcv"), py::arg("with_condition"), py::arg("mixed"))
      .def(
          "equations",
          [](Shared& state, bool fit_intercept, Array<double> gram, Array<double> rhs, Array<double> mean,
             Array<double> target_mean, Array<double> variation) {
            const RidgeEquations out{output(Cpu{}, gram, "gram"), output(Cpu{}, rhs, "rhs"), output(Cpu{}, mean, "mean"),
                                     output(Cpu{}, target_mean, "target_mean"), output(Cpu{}, variation, "variation")};
            state([&](const State& own) { own.equations(fit_intercept, out); });
          },
          py::arg("fit_intercept"), py::arg("gram").noconvert(), py::arg("rhs").noconvert(), py::arg("mean").noconvert(),
          py::arg("target_mean").noconvert(), py::arg("variation").noconvert())
      .def_property_readonly("rows", [](Shared& state) { return state([](const State& own) { return own.rows(); }); })
      .def_property_readonly("total_weight",
                             [](Shared& state) { return state([](const State& own) { return own.total_weight(); }); })
      .def("target_sums", [](Shared& state) { return state([](const State& own) { return own.target_sums(); }); })
      .def_property_readonly("n_features", [](const Shared& state) { return state.fixed().params().n_features; })
      .def_property_readonly("n_targets", [](const Shared& state) { return state.fixed().params().n_targets; })
      .def("trim", [](Shared& state) { state([](State& own) { own.trim(); }); })
      .def(
          "to_host",
          [](Shared& state, const Cpu& backend) {
            return state([&](const State& own) { return std::make_unique<InTurn<RidgeState<Cpu>>>(own.to_host(backend)); });
          },
          py::arg("backend"))
      .def("to_bytes", [](Shared& state) { return py::bytes(state([](const State& own) { return own.to_bytes(); })); })
      .def("to_buffer", [](Shared& state) { return fixed_array(state([](const State& own) { return own.to_bytes(); })); })
      // Arrays that follow each other; the large ones are the memory of the state, which they keep alive, and which other
      // threads must leave as it is.
      .def("to_pieces",
           [](const py::object& self) {
             std::vector<RidgePiece> pieces = self.cast<Shared&>()([](const State& own) { return own.to_pieces(); });
             py::list arrays;
             for (RidgePiece& piece : pieces) {
               arrays.append(piece.own.empty() ? fixed_array(piece.elsewhere, self) : fixed_array(std::move(piece.own)));
             }
             return arrays;
           })
      .def(
          "merge_pieces",
          [](Shared& state, const std::vector<py::buffer>& arrays, bool before) {
            std::vector<py::buffer_info> infos;
            std::vector<std::string_view> pieces;
            for (const py::buffer& array : arrays) pieces.push_back(byte_view(infos.emplace_back(array.request())));
            state([&](State& own) { own.merge_pieces(pieces, before); });
          },
          py::arg("pieces"), py::arg("before"))
      .def_static(
          "from_bytes",
          [](const py::buffer& data, const B& backend) {
            const py::buffer_info info = data.request();
            const std::string_view bytes = byte_view(info);
            const py::gil_scoped_release unlocked;
            return std::make_unique<Shared>(State::from_bytes(bytes, backend));
          },
          py::arg("data"), py::arg("backend"));
}
FASTNTK_BIND_BACKENDS(bind_ridge)

}  // namespace fastntk::python
