// Saved models on the device predict as Python did on the CPU.
#include <fastntk/memory.hpp>
#include <fastntk/model.hpp>

#include <string>
#include <vector>

#include "../cpp/model_cases.hpp"
#include "device.hpp"

namespace {

using device::DeviceMatrix;
using device::Guarded;
using fastntk::Cuda;
using fastntk::Model;
using fastntk::ModelFile;
using model_cases::Expected;
using sketches::Matrix;

template <class T>
void compare(const std::string& name, const Expected& expected) {
  const Matrix<T> x = expected.matrix<T>("x"), scores = expected.matrix<T>("scores");
  const Matrix<double> tolerance = expected.matrix<double>("tolerance");
  const Model<T, Cuda> model(ModelFile::read(model_cases::folder / (name + ".safetensors")), Cuda());
  const DeviceMatrix<T> in(x, 3);
  Guarded<T> out(Matrix<T>(scores.rows, scores.cols), 5);
  model.predict(in.view(), out.view());
  const Matrix<T> found = out.to_host();
  for (std::size_t i = 0; i < scores.rows; ++i)
    for (std::size_t j = 0; j < scores.cols; ++j)
      if (!CHECK_CLOSE(found(i, j), scores(i, j), tolerance(i, j))) check::fail(name.c_str(), 0, "as above");

  if (model.info().classes.empty()) return;
  std::vector<std::int64_t> index(x.rows, -1);
  model.classify(in.view(), index.data());
  for (std::size_t i = 0; i < x.rows; ++i) {
    std::size_t best = 0;
    for (std::size_t j = 1; j < found.cols; ++j)
      if (found(i, j) > found(i, best)) best = j;
    CHECK(index[i] == (found.cols == 1 ? found(i, 0) > 0 : static_cast<std::int64_t>(best)));
  }
}

TEST(predictions_are_those_of_python) {
  const std::vector<std::string> found = model_cases::names(true);
  CHECK(found.size() >= 18);
  for (const std::string& name : found) {
    const Expected expected(name);
    if (expected.find("x")->number == fastntk::Number::float32) {
      compare<float>(name, expected);
    } else {
      compare<double>(name, expected);
    }
  }
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
