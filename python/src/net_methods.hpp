// What the bindings of networks have in common: training, and what a network says about rows. Every call runs on the backend
// that its arrays are for, and when no other thread's does.
#pragma once

#include <fastntk/nets.hpp>

#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "array_view.hpp"
#include "in_turn.hpp"

namespace fastntk::python {

/// Adds train(x, y, ...) -> (steps, diverged, losses), gradient(x, y, grad, ...) -> loss, predict(x, out), kernel(x, z,
/// out), get_weights(out), set_weights(weights), drift() and run_on(backend), for when the stream of a call goes away.
template <Real T, Backend B, class Net>
void def_net(py::class_<InTurn<Net>>& net_class) {
  net_class
      .def(
          "run_on", [](InTurn<Net>& net, const B& backend) { net([&](Net& own) { own.run_on(backend); }); },
          py::arg("backend"))
      .def(
          "train",
          [](InTurn<Net>& net, const Argument<T, B>& x, const Argument<T, B>& y, double kappa, double alpha,
             bool decay_to_start, double step_size, std::size_t batch_size, std::uint64_t seed, std::size_t first,
             std::size_t steps, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vy = input(backend, y, "y");
            const NetProgress progress = net([&](Net& own) {
              own.run_on(backend);
              return own.train({kappa, alpha, decay_to_start, step_size, batch_size, seed}, first, steps, vx, vy);
            });
            return std::tuple(progress.steps, progress.diverged, progress.loss);
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::kw_only(), py::arg("kappa"), py::arg("alpha"),
          py::arg("decay_to_start"), py::arg("step_size"), py::arg("batch_size"), py::arg("seed"), py::arg("first"),
          py::arg("steps"), py::arg("backend"))
      .def(
          "gradient",
          [](InTurn<Net>& net, const Argument<T, B>& x, const Argument<T, B>& y, Argument<T, B> grad, double kappa,
             double alpha, bool decay_to_start, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vy = input(backend, y, "y");
            const auto vgrad = output(backend, grad, "grad");
            return net([&](Net& own) {
              own.run_on(backend);
              return own.gradient({.kappa = kappa, .alpha = alpha, .decay_to_start = decay_to_start}, vx, vy, vgrad);
            });
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("grad").noconvert(), py::kw_only(), py::arg("kappa"),
          py::arg("alpha"), py::arg("decay_to_start"), py::arg("backend"))
      .def(
          "predict",
          [](InTurn<Net>& net, const Argument<T, B>& x, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vout = output(backend, out, "out");
            net([&](Net& own) {
              own.run_on(backend);
              own.predict(vx, vout);
            });
          },
          py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "kernel",
          [](InTurn<Net>& net, const Argument<T, B>& x, const Argument<T, B>& z, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vz = input(backend, z, "z");
            const auto vout = output(backend, out, "out");
            net([&](Net& own) {
              own.run_on(backend);
              own.kernel(vx, vz, vout);
            });
          },
          py::arg("x").noconvert(), py::arg("z").noconvert(), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "get_weights",
          [](InTurn<Net>& net, Argument<T, B> out, const B& backend) {
            const auto vout = output(backend, out, "out");
            net([&](Net& own) {
              own.run_on(backend);
              own.get_weights(vout);
            });
          },
          py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "set_weights",
          [](InTurn<Net>& net, const Argument<T, B>& weights, const B& backend) {
            const auto vweights = input(backend, weights, "weights");
            net([&](Net& own) {
              own.run_on(backend);
              own.set_weights(vweights);
            });
          },
          py::arg("weights").noconvert(), py::arg("backend"))
      .def(
          "drift",
          [](InTurn<Net>& net, const B& backend) {
            return net([&](Net& own) {
              own.run_on(backend);
              return own.drift();
            });
          },
          py::arg("backend"));
}

}  // namespace fastntk::python
