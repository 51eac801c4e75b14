#include "cuda_bench.hpp"

#include <fastntk/config.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "../../csrc/cuda/blas.cuh"
#include "../../csrc/cuda/platform.cuh"

namespace bench::cuda {
namespace {

void check(cudaError_t error) { require(error == cudaSuccess, std::string("CUDA: ") + cudaGetErrorString(error)); }

}  // namespace

Session::Session(int argc, char** argv) {
  const std::string usage = std::string("usage: ") + argv[0] + " [--small] [--device N]";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--small") {
      small_ = true;
    } else {
      require(argument == "--device" && i + 1 < argc, usage);
      backend_.device = std::atoi(argv[++i]);
    }
  }
  const fastntk::Config config = fastntk::config();
  if (config.cuda_status != "ready") {
    std::fprintf(stderr, "skipped: CUDA is %s\n", config.cuda_status.c_str());
    std::exit(77);
  }
  const auto device = static_cast<std::size_t>(backend_.device);
  require(device < config.cuda_devices.size(), "there is no device " + std::to_string(backend_.device));
  std::printf("{\"device\": \"%s\", \"version\": \"%s\", \"small\": %s}\n", config.cuda_devices[device].c_str(),
              config.version.c_str(), small_ ? "true" : "false");
  check(cudaSetDevice(backend_.device));
}

std::vector<Times> Session::alternate(const std::vector<std::function<void()>>& contenders) const {
  const auto wait = [this] { fastntk::finish(backend_); };
  return small_ ? bench::alternate(contenders, 1, 0, wait) : bench::alternate(contenders, 15, 3e-2, wait);
}

void Session::copy(const void* from, void* to, std::size_t bytes) const {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, backend_.stream));
}

void Session::write(void* to, std::size_t bytes) const { check(cudaMemsetAsync(to, 0, bytes, backend_.stream)); }

void Session::sgemm(std::size_t m, std::size_t n, std::size_t k, const float* a, const float* b, float* c) const {
  using fastntk::cuda::blas::Transpose;
  fastntk::cuda::blas::gemm(backend_, Transpose::no, Transpose::yes, m, n, k, 1.0f, a, k, b, k, 0.0f, c, n);
}

void require_close(const std::vector<float>& found, const std::vector<float>& expected, double tolerance,
                   const char* message) {
  double difference = 0, norm = 0;
  for (std::size_t j = 0; j < expected.size(); ++j) {
    difference += std::pow(static_cast<double>(found[j]) - static_cast<double>(expected[j]), 2);
    norm += std::pow(static_cast<double>(expected[j]), 2);
  }
  require(std::sqrt(difference) <= tolerance * std::sqrt(norm), message);
}

}  // namespace bench::cuda
