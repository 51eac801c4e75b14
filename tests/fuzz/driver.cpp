// Runs a fuzz target without libFuzzer: mutations of the files of a folder, as functions of the seed and the number of the
// run.
//
//   fuzz_X [-runs=N] [-seed=S] [-only=I] FOLDER    -only=I repeats run number I, which a failure tells
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "../cpp/model_files.hpp"
#include "mutate.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::uint64_t current = 0;  // the run that is under way

void tell_run() { std::fprintf(stderr, "this was run number %llu\n", static_cast<unsigned long long>(current)); }

std::uint64_t value_of(std::string_view argument) {
  return std::strtoull(argument.substr(argument.find('=') + 1).data(), nullptr, 10);
}

void run(const std::vector<std::string>& seeds, std::uint64_t seed, std::uint64_t number) {
  current = number;
  fuzz::Mutator mutator(fastntk::rng::child_seed(seed, number));
  std::string file = seeds[number % seeds.size()];
  // First the files themselves, then one to four mutations of each.
  const std::uint64_t mutations = number < seeds.size() ? 0 : 1 + number / seeds.size() % 4;
  for (std::uint64_t i = 0; i < mutations; ++i) file = mutator.mutate(file);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 10000, seed = 1, only = 0;
  bool one = false;
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("-runs=")) {
      runs = value_of(argument);
    } else if (argument.starts_with("-seed=")) {
      seed = value_of(argument);
    } else if (argument.starts_with("-only=")) {
      only = value_of(argument);
      one = true;
    } else {
      std::vector<std::filesystem::path> paths;
      for (const auto& entry : std::filesystem::directory_iterator(argument)) paths.push_back(entry.path());
      std::sort(paths.begin(), paths.end());
      for (const auto& path : paths) seeds.push_back(model_files::bytes_of(path));
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: %s [-runs=N] [-seed=S] [-only=I] FOLDER, with files in the folder\n", argv[0]);
    return 2;
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(tell_run);
#endif
  std::set_terminate([] {
    tell_run();
    std::abort();
  });
  if (one) {
    run(seeds, seed, only);
    return 0;
  }
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t number = 0; number < runs; ++number) run(seeds, seed, number);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::printf("%llu runs in %.1f s: %.0f per second\n", static_cast<unsigned long long>(runs), taken.count(),
              static_cast<double>(runs) / taken.count());
  return 0;
}
