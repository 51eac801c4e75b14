// Modified directions that are drawn on the device are those of the CPU.
#include <fastntk/modified_directions.hpp>

#include <cmath>
#include <cstddef>
#include <limits>

#include "device.hpp"

namespace {

using device::DeviceMatrix;
using fastntk::Cpu;
using fastntk::Cuda;
using fastntk::ModifiedDirectionsParams;
using fastntk::ModifiedSampler;
using sketches::Matrix;

template <class T>
Matrix<T> on_device(const ModifiedDirectionsParams& params, std::size_t m, std::size_t d, std::size_t gap = 0,
                    const Cuda& backend = {}) {
  device::Guarded<T> w(Matrix<T>(m, d), gap);
  fastntk::sample_modified_directions<T, Cuda>(backend, params, w.view());
  fastntk::finish(backend);
  return w.to_host();
}

template <class T>
Matrix<T> on_host(const ModifiedDirectionsParams& params, std::size_t m, std::size_t d) {
  Matrix<T> w(m, d);
  fastntk::sample_modified_directions<T, Cpu>(Cpu{}, params, w.view());
  return w;
}

// Which component of its mixture a coordinate is drawn from differs only where a uniform number falls between two roundings
// of z/(z + 1): with probability 1e-15 or so a draw. The rest is a logarithm, a root, sine and cosine, and one rounding.
template <class T>
void check_directions(double tolerance) {
  for (const std::size_t d : {1, 2, 3, 8, 33, 200})
    for (const std::size_t m : {1, 7, 300}) {
      if (d == 200 && m == 300) continue;
      for (const ModifiedSampler method : {ModifiedSampler::gibbs, ModifiedSampler::direct})
        for (const std::size_t chains : {0, 3}) {
          const ModifiedDirectionsParams p{.method = method, .chains = chains, .burn_in = 2, .sweeps = 2, .seed = d + m};
          if (chains > 0 && m > 10) continue;
          const Matrix<T> found = on_device<T>(p, m, d, d % 3);
          const Matrix<T> expected = on_host<T>(p, m, d);
          for (std::size_t i = 0; i < found.values.size(); ++i)
            if (!CHECK_CLOSE(found.values[i], expected.values[i],
                             tolerance * std::abs(static_cast<double>(expected.values[i]))))
              break;
        }
    }
}

TEST(directions_are_those_of_the_host) {
  check_directions<float>(2 * static_cast<double>(std::numeric_limits<float>::epsilon()));
  check_directions<double>(64 * std::numeric_limits<double>::epsilon());
}

TEST(same_bits_for_any_workspace) {
  const ModifiedDirectionsParams p{.seed = 4};
  const Matrix<float> whole = on_device<float>(p, 500, 20);
  CHECK(on_device<float>(p, 500, 20, 0, Cuda{.max_memory = 1 << 16}) == whole);
  const Matrix<float> few = on_device<float>(p, 30, 20);
  CHECK(std::equal(few.values.begin(), few.values.end(), whole.values.begin()));
}

TEST(no_directions) {
  fastntk::sample_modified_directions<float, Cuda>(Cuda(), {}, fastntk::View<float, Cuda>(nullptr, 0, 5));
}

#if defined(FASTNTK_EMULATE_CUDA)
TEST(no_failure_is_dropped) {
  for (const ModifiedSampler method : {ModifiedSampler::gibbs, ModifiedSampler::direct})
    device::fail_every_call([&] { CHECK(std::isfinite(on_device<float>({.method = method, .sweeps = 2}, 5, 4)(0, 0))); });
}
#endif

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
