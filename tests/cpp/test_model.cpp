// Models of Python's save() predict as they did there: one file for every map, and what is refused.
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/model.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "check.hpp"
#include "model_cases.hpp"
#include "model_files.hpp"
#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Model;
using fastntk::ModelFile;
using fastntk::ModelFileError;
using fastntk::Number;
using model_cases::Expected;
using model_cases::folder;
using sketches::Matrix;

template <class T>
void check_predictions(const std::string& name, const ModelFile& file, const Expected& expected) {
  const Matrix<T> x = expected.matrix<T>("x"), scores = expected.matrix<T>("scores");
  const Matrix<double> tolerance = expected.matrix<double>("tolerance");
  const std::size_t n = x.view().rows, t = scores.view().cols;
  const Model<T> model(file, Cpu{2});
  CHECK(model.info().n_features_in == x.view().cols);
  CHECK(model.info().n_targets == t);
  Matrix<T> out(n, t);
  model.predict(x.view(), out.view());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < t; ++j)
      if (!CHECK_CLOSE(out(i, j), scores(i, j), tolerance(i, j))) check::fail(name.c_str(), 0, "as above");

  // The same bits from another number of threads and one row at a time.
  Matrix<T> single(n, t);
  const Model<T> other(file, Cpu{1});
  for (std::size_t i = 0; i < n; ++i) other.predict(x.view().row_block(i, 1), single.view().row_block(i, 1));
  CHECK(single == out);

  const std::vector<fastntk::ModelLabel>& classes = model.info().classes;
  std::vector<std::int64_t> index(n, -1);
  if (classes.empty()) {
    CHECK(check::throws<fastntk::Error>([&] { model.classify(x.view(), index.data()); }, "classify is for classifiers"));
    return;
  }
  model.classify(x.view(), index.data());
  for (std::size_t i = 0; i < n; ++i) {
    std::int64_t best = 0;
    for (std::size_t j = 1; j < t; ++j)
      if (out(i, j) > out(i, static_cast<std::size_t>(best))) best = static_cast<std::int64_t>(j);
    CHECK(index[i] == (t == 1 ? out(i, 0) > 0 : best));
  }
}

TEST(predictions_are_those_of_python) {
  const std::vector<std::string> found = model_cases::names(true);
  CHECK(found.size() >= 18);
  for (const std::string& name : found) {
    const Expected expected(name);
    const bool single = expected.find("x")->number == Number::float32;
    try {
      const ModelFile file = ModelFile::read(folder / (name + ".safetensors"));
      CHECK((model_info(file).dtype == Number::float32) == single);
      single ? check_predictions<float>(name, file, expected) : check_predictions<double>(name, file, expected);
    } catch (const fastntk::Error& error) {
      check::fail(name.c_str(), 0, error.what());
    }
  }
}

TEST(other_classes_are_refused) {
  const std::vector<std::string> found = model_cases::names(false);
  CHECK(!found.empty());
  for (const std::string& name : found)
    CHECK(check::throws<ModelFileError>([&] { Model<float>::read(folder / (name + ".safetensors")); },
                                        "NTKRegressor and NTKClassifier predict here"));
}

TEST(every_truncation_is_refused) {
  const std::string sound = model_files::bytes_of(folder / "random-leverage.safetensors");
  CHECK(!sound.empty());
  for (std::size_t size = 0; size < sound.size(); ++size)
    CHECK(check::throws<ModelFileError>([&] { Model<double>(model_files::read(sound.substr(0, size))); }, ""));
}

/// A small model by hand: rows of 2 numbers, 3 features, one target.
struct Small {
  std::string name = "NTKRegressor", classes = "null", map = "", more = "";
  std::string op = R"("operator":"NtkRandomFeatures","in_features":2,"out_features":3,"depth":1,"directions":"gaussian",)"
                   R"("low_orders":"constant","diagonal":"sampled","bias":0.0,"seed":18446744073709551615,)"
                   R"("step_features":0,"relu_features":0,"sweeps":10)";
  std::string coef = R"("coef":{"dtype":"F64","shape":[3,1],"data_offsets":[0,24]})";
  std::string intercept = R"("intercept":{"dtype":"F64","shape":[1],"data_offsets":[24,32]})";
  std::vector<double> numbers = {1, 2, 3, 0.5};

  std::string file() const {
    const std::string text = R"({"format":"fastntk-model","version":3,"fastntk":"9","class":")" + name +
                             R"(","n_features_in":2,"dtype":"float32","one_target":true,"classes":)" + classes +
                             R"(,"feature_names_in":["a","b"],"statistics":{"rows": 3},"map":{)" + op + map + "}" + more +
                             "}";
    std::string data(numbers.size() * sizeof(double), '\0');
    std::memcpy(data.data(), numbers.data(), data.size());
    return model_files::model(text, "," + coef + "," + intercept, data);
  }
};

bool refused(const Small& small, const std::string& why) {
  return check::throws<ModelFileError>([&] { Model<float>(model_files::read(small.file())); }, why);
}

void replace(std::string& text, const std::string& part, const std::string& by) {
  text.replace(text.find(part), part.size(), by);
}

TEST(information) {
  const Model<float> model(model_files::read(Small().file()));
  CHECK(model.info().class_name == "NTKRegressor" && model.info().fastntk == "9");
  CHECK(model.info().n_features_in == 2 && model.info().n_targets == 1 && model.info().one_target);
  CHECK(model.info().feature_names_in == std::vector<std::string>({"a", "b"}));
  CHECK(model.info().statistics == R"({"rows": 3})");
  CHECK(model.info().classes.empty());

  Small classifier{.name = "NTKClassifier", .classes = R"(["no", "yes"])"};
  const Model<float> labelled(model_files::read(classifier.file()));
  CHECK(labelled.info().classes == std::vector<fastntk::ModelLabel>({"no", "yes"}));
  classifier.classes = "[-3, 4]";
  CHECK(model_info(model_files::read(classifier.file())).classes == std::vector<fastntk::ModelLabel>({-3l, 4l}));
  classifier.classes = "[1, 18446744073709551615]";
  CHECK(model_info(model_files::read(classifier.file())).classes ==
        std::vector<fastntk::ModelLabel>({std::int64_t{1}, ~std::uint64_t{0}}));
  classifier.classes = "[0.5, 2.0]";
  CHECK(model_info(model_files::read(classifier.file())).classes == std::vector<fastntk::ModelLabel>({0.5, 2.0}));
  classifier.classes = "[false, true]";
  CHECK(model_info(model_files::read(classifier.file())).classes == std::vector<fastntk::ModelLabel>({false, true}));
}

TEST(shapes_are_checked) {
  const Model<float> model(model_files::read(Small().file()));
  const Matrix<float> x(4, 2), wide(4, 3);
  Matrix<float> out(4, 1), two(4, 2);
  CHECK(check::throws<fastntk::Error>([&] { model.predict(wide.view(), out.view()); }, "Model: x has shape (4, 3)"));
  CHECK(check::throws<fastntk::Error>([&] { model.predict(x.view(), two.view()); }, "Model: out has shape (4, 2)"));
  model.predict(x.view().row_block(0, 0), out.view().row_block(0, 0));
  model.predict(x.view(), out.view());
  for (std::size_t i = 0; i < 4; ++i) CHECK(out(i, 0) == 0.5f);  // zero rows have zero features
}

// K(x, S) W^T coef + intercept written out, with more landmarks than a panel of the product has, and columns of zeros
// behind.
TEST(many_landmarks) {
  constexpr std::size_t r = 700, features = 703, n = 5;
  const Matrix<double> landmarks = sketches::random_rows<double>(r, 2, 1), x = sketches::random_rows<double>(n, 2, 2);
  const Matrix<double> factor = sketches::random_rows<double>(1, r * (r + 1) / 2, 3);
  Matrix<double> coef = sketches::random_rows<double>(features + 1, 1, 4);  // the last one is the intercept
  Small small;
  small.op = R"("operator":"NystroemNtk","in_features":2,"out_features":703,"depth":2,"bias":0.5,"diagonal":"sampled")";
  const auto tensor = [&](const char* name, const std::string& shape, const Matrix<double>& values) {
    const std::size_t begin = 8 * small.numbers.size();
    const auto view = values.view();
    small.numbers.insert(small.numbers.end(), view.data, view.data + view.rows * view.cols);
    return "\"" + std::string(name) + R"(":{"dtype":"F64","shape":)" + shape + R"(,"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(8 * small.numbers.size()) + "]}";
  };
  small.numbers.clear();
  const std::string both = tensor("coef", "[703,1]", coef);
  small.coef = both.substr(0, both.find("[0,")) + "[0,5624]}";
  small.intercept = R"("intercept":{"dtype":"F64","shape":[1],"data_offsets":[5624,5632]})";
  small.intercept += "," + tensor("features.landmarks", "[700,2]", landmarks);
  small.intercept += "," + tensor("features.factor", "[245350]", factor);
  const Model<double> model(model_files::read(small.file()));
  Matrix<double> out(n, 1), kernel(n, r);
  model.predict(x.view(), out.view());

  fastntk::ntk_kernel<double, Cpu>(Cpu{1}, x.view(), landmarks.view(), {.depth = 2, .bias = 0.5}, kernel.view());
  for (std::size_t i = 0; i < n; ++i) {
    double score = coef(features, 0), size = std::abs(score);
    for (std::size_t k = 0; k < r; ++k)
      for (std::size_t j = 0; j <= k; ++j) {
        const double part = kernel(i, j) * factor(0, k * (k + 1) / 2 + j) * coef(k, 0);
        score += part;
        size += std::abs(part);
      }
    // Sums of r and of `features` numbers on one side, of r^2 / 2 on the other.
    CHECK_CLOSE(out(i, 0), score, (r + features + r * r / 2) * std::numeric_limits<double>::epsilon() * size);
  }
}

// Directions that a file gives are as many as numbers in it, but how long they are it only says: 2049 rows of that many
// numbers wrap around.
TEST(sizes_that_wrap_around) {
  constexpr std::uint64_t count = 2049, width = (~std::uint64_t{0} / count) + 1;
  static_assert(width < std::uint64_t{1} << 53 && count * width < count);
  Small small;
  const auto size = std::to_string(width);
  small.op = R"("operator":"NtkRandomFeatures","in_features":)" + size +
             R"(,"out_features":16,"depth":1,"directions":"given","low_orders":"sampled","diagonal":"sampled","bias":0.0,)"
             R"("seed":1,"step_features":2035,"relu_features":14,"sweeps":10)";
  small.coef = R"("coef":{"dtype":"F64","shape":[16,1],"data_offsets":[0,128]})";
  small.intercept = R"("intercept":{"dtype":"F64","shape":[1],"data_offsets":[128,136]},)"
                    R"("features.directions":{"dtype":"I64","shape":[2049],"data_offsets":[136,16528]},)"
                    R"("features.weights":{"dtype":"F64","shape":[2049],"data_offsets":[16528,32920]})";
  small.numbers.assign(17 + count, 0);
  small.numbers.resize(17 + 2 * count, 1);
  std::string file = small.file();
  replace(file, R"(\"n_features_in\":2)", R"(\"n_features_in\":)" + size);
  replace(file, R"([\"a\",\"b\"])", "null");
  const auto refused = [](std::string bytes, const std::string& why) {
    model_files::fix_checksum(bytes);
    return check::throws<ModelFileError>([&] { Model<float>(model_files::read(bytes)); }, why);
  };
  const std::size_t bytes = sizeof(double) * small.numbers.size();
  const std::string data = file.substr(file.size() - bytes), text = file.substr(8, file.size() - 8 - bytes);
  CHECK(refused(model_files::safetensors(text, data), "n_features_in is " + size + "; less than 2^31"));
  // As large as the words allow.
  std::string large = text;
  for (int i = 0; i < 2; ++i) replace(large, size, "2147483647");
  CHECK(refused(model_files::safetensors(large, data), "rows of 2147483647; at most 67108864"));
  large = text;
  for (int i = 0; i < 2; ++i) replace(large, size, "67108864");
  CHECK(refused(model_files::safetensors(large, data), "a number of random numbers"));

  CHECK(check::throws<fastntk::OutOfMemory>([] { fastntk::Array<float>(Cpu{1}, width, count); }, "addresses"));
  CHECK(check::throws<fastntk::OutOfMemory>([] { fastntk::Buffer<double, Cpu>(Cpu{1}, ~std::size_t{0} / 4); }, "addresses"));
}

// A few words must not ask for memory or time without end: the sizes of every map, each beyond what is possible.
TEST(maps_that_are_too_large) {
  for (const std::string& name : model_cases::names(true)) {
    const std::string sound = model_files::bytes_of(folder / (name + ".safetensors"));
    const std::string_view header = model_files::header_of(sound);
    const std::string data = sound.substr(8 + header.size());
    for (const char* key : {"depth", "width", "height", "channels", "in_features", "power_features", "gate_features",
                            "layer_features", "product_features", "step_features", "relu_features", "sweeps"})
      for (const char* value : {"65536", "2147483647", "2147483648", "9007199254740992", "18446744073709551615"}) {
        std::string text(header);
        const std::string word = R"(\")" + std::string(key) + R"(\": )";
        const std::size_t map = text.find(R"(\"map\": )"), at = map == std::string::npos ? map : text.find(word, map);
        if (at == std::string::npos) continue;
        if (name == "gradients-mlp" && std::string_view("height channels").find(key) != std::string::npos) continue;
        const std::size_t begin = at + word.size(), end = text.find_first_of(",}", begin);
        if (!check::throws<ModelFileError>(
                [&] {
                  text.replace(begin, end - begin, value);
                  std::string file = model_files::safetensors(text, data);
                  model_files::fix_checksum(file);
                  Model<float>(model_files::read(file), Cpu{1});
                  // Some sizes do not count, or are possible.
                  if (std::string_view(value) == "65536") throw ModelFileError("");
                },
                ""))
          check::fail((name + "." + key).c_str(), 0, value);
      }
  }
}

TEST(what_a_terminal_would_act_on) {
  Small small;
  small.name = "\\u001b[31m" + std::string(1000, 'x');
  CHECK(refused(small, "class '\\x1b[31mxx"));
  small.name = std::string(1000, 'x');
  CHECK(refused(small, std::string(80, 'x') + "...'; NTK"));
}

TEST(the_state_stays_out) {
  const std::filesystem::path path = folder / "with-state.safetensors";
  const auto states = [](const ModelFile& file) {
    std::size_t out = 0;
    for (const auto& [name, tensor] : file.tensors()) out += name.starts_with("state.");
    return out;
  };
  CHECK(states(ModelFile::read(path)) > 0);
  CHECK(states(ModelFile::read(path, false)) == 0);
  CHECK(ModelFile::read(path, false).tensors().contains("coef"));
}

TEST(what_does_not_fit_together) {
  const auto with = [](auto change) {
    Small small;
    change(small);
    return small;
  };
  CHECK(refused(with([](Small& s) { s.name = "Other"; }), "class 'Other'"));
  CHECK(refused(with([](Small& s) { s.name = "NTKClassifier"; }), "classes and class 'NTKClassifier' do not fit"));
  CHECK(refused(with([](Small& s) { s.classes = "[1]"; }), "classes and class 'NTKRegressor' do not fit"));
  for (const char* classes : {"[]", "[1, 1]", "[[1]]", "[null, 1]", "3", "[1, 2, 3]"})
    CHECK(refused(with([&](Small& s) { s.name = "NTKClassifier", s.classes = classes; }), ""));
  CHECK(refused(with([](Small& s) { s.map = R"(,"new":1)"; }), "fastntk.map has new, which this version does not know"));
  CHECK(refused(with([](Small& s) { replace(s.op, "NtkRandomFeatures", "Other"); }), "fastntk.map.operator is 'Other'"));
  CHECK(refused(with([](Small& s) { replace(s.op, R"("in_features":2)", R"("in_features":3)"); }), "rows of 3 columns"));
  CHECK(refused(with([](Small& s) { replace(s.op, R"("out_features":3)", R"("out_features":4)"); }), "4 features"));
  CHECK(refused(with([](Small& s) { replace(s.op, R"(,"sweeps":10)", ""); }), "fastntk.map has no sweeps"));
  CHECK(refused(with([](Small& s) { replace(s.op, R"("depth":1)", R"("depth":0)"); }), "cannot be made: NtkRandom"));
  CHECK(refused(with([](Small& s) { replace(s.op, "gaussian", "given"); }), "no tensor 'features.directions'"));
  CHECK(refused(with([](Small& s) { s.more = R"(,"map":null)"; }), "has a name twice"));
  CHECK(refused(with([](Small& s) { replace(s.coef, "coef", "other"); }), "no tensor 'coef'"));
  CHECK(refused(with([](Small& s) { replace(s.coef, "[3,1]", "[3]"); }), "'coef' of two dimensions"));
  CHECK(refused(with([](Small& s) { replace(s.coef, "[3,1]", "[1,3]"); }), "has 3 features; tensor 'coef' has 1 rows"));
  CHECK(
      refused(with([](Small& s) { replace(s.intercept, "[1]", "[1,1]"); }), "'intercept' has shape (1, 1); (1) is needed"));
  CHECK(refused(with([](Small& s) { replace(s.intercept, "F64", "I64"); }), "'intercept' are of another type"));
  CHECK(refused(with([](Small& s) { s.numbers[1] = NAN; }), "'coef' has a number that is not finite"));
  CHECK(refused(with([](Small& s) { s.numbers[3] = INFINITY; }), "'intercept' has a number that is not finite"));
}

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
