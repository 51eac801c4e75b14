// Standardised columns on a device: the CPU's bits, and nothing between the rows.
#include <fastntk/standardize.hpp>

#include "device.hpp"

using namespace fastntk;
using device::DeviceMatrix;
using sketches::Matrix;

namespace {

template <class T>
void check_columns(std::size_t n, std::size_t d, std::size_t gap) {
  const auto x = sketches::random_rows<T>(n, d, 1), mean = sketches::random_rows<T>(1, d, 2),
             scale = sketches::random_rows<T>(1, d, 3);
  Matrix<T> wanted(n, d);
  standardize<T, Cpu>(Cpu{1}, x.view(), mean.view(), scale.view(), wanted.view());
  const DeviceMatrix<T> rows(x, gap), means(mean), scales(scale);
  device::Guarded<T> out(Matrix<T>(n, d), gap);
  standardize<T, Cuda>(Cuda{}, rows.view(), means.view(), scales.view(), out.view());
  CHECK(out.to_host() == wanted);
}

TEST(columns_are_the_cpus) {
  for (const std::size_t gap : {0, 3})
    for (const std::size_t n : {1, 70}) {
      check_columns<float>(n, 300, gap);
      check_columns<double>(n, 5, gap);
    }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
