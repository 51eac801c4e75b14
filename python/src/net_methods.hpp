// What the bindings of networks have in common: training, and what a network says about rows. Every call runs on the backend
// that its arrays are for.
#pragma once

#include <fastntk/nets.hpp>

#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "array_view.hpp"

namespace fastntk::python {

/// Adds train(x, y, ...) -> (steps, diverged, losses), gradient(x, y, grad, ...) -> loss, predict(x, out), kernel(x, z,
/// out), get_weights(out), set_weights(weights), drift() and run_on(backend), for when the stream of a call goes away.
template <Real T, Backend B, class Net>
void def_net(py::class_<Net>& net_class) {
  net_class.def("run_on", &Net::run_on, py::arg("backend"), py::call_guard<py::gil_scoped_release>())
      .def(
          "train",
          [](Net& net, const Argument<T, B>& x, const Argument<T, B>& y, double kappa, double alpha, bool decay_to_start,
             double step_size, std::size_t batch_size, std::uint64_t seed, std::size_t first, std::size_t steps,
             const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vy = input(backend, y, "y");
            NetProgress progress;
            {
              const py::gil_scoped_release unlocked;
              net.run_on(backend);
              progress = net.train({kappa, alpha, decay_to_start, step_size, batch_size, seed}, first, steps, vx, vy);
            }
            return std::tuple(progress.steps, progress.diverged, progress.loss);
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::kw_only(), py::arg("kappa"), py::arg("alpha"),
          py::arg("decay_to_start"), py::arg("step_size"), py::arg("batch_size"), py::arg("seed"), py::arg("first"),
          py::arg("steps"), py::arg("backend"))
      .def(
          "gradient",
          [](Net& net, const Argument<T, B>& x, const Argument<T, B>& y, Argument<T, B> grad, double kappa, double alpha,
             bool decay_to_start, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vy = input(backend, y, "y");
            const auto vgrad = output(backend, grad, "grad");
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            return net.gradient({.kappa = kappa, .alpha = alpha, .decay_to_start = decay_to_start}, vx, vy, vgrad);
          },
          py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("grad").noconvert(), py::kw_only(), py::arg("kappa"),
          py::arg("alpha"), py::arg("decay_to_start"), py::arg("backend"))
      .def(
          "predict",
          [](Net& net, const Argument<T, B>& x, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            net.predict(vx, vout);
          },
          py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "kernel",
          [](Net& net, const Argument<T, B>& x, const Argument<T, B>& z, Argument<T, B> out, const B& backend) {
            const auto vx = input(backend, x, "x");
            const auto vz = input(backend, z, "z");
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            net.kernel(vx, vz, vout);
          },
          py::arg("x").noconvert(), py::arg("z").noconvert(), py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "get_weights",
          [](Net& net, Argument<T, B> out, const B& backend) {
            const auto vout = output(backend, out, "out");
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            net.get_weights(vout);
          },
          py::arg("out").noconvert(), py::arg("backend"))
      .def(
          "set_weights",
          [](Net& net, const Argument<T, B>& weights, const B& backend) {
            const auto vweights = input(backend, weights, "weights");
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            net.set_weights(vweights);
          },
          py::arg("weights").noconvert(), py::arg("backend"))
      .def(
          "drift",
          [](Net& net, const B& backend) {
            const py::gil_scoped_release unlocked;
            net.run_on(backend);
            return net.drift();
          },
          py::arg("backend"));
}

}  // namespace fastntk::python
