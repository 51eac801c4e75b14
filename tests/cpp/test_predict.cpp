// The example program `predict`: what it writes is what the library gives, and bad input is one line and exit code 2.
#include <fastntk/model.hpp>

#include <sys/wait.h>

#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "check.hpp"
#include "model_files.hpp"
#include "sketches.hpp"

namespace {

using sketches::Matrix;

const std::filesystem::path models = std::filesystem::path(FASTNTK_TEST_DATA) / "model-3";

// A folder of this process, as the tests of several instruction sets run side by side.
const std::filesystem::path folder =
    std::filesystem::temp_directory_path() / ("fastntk-predict-" + std::to_string(getpid()));

struct Answer {
  int code;
  std::string out, error;
};

Answer run(const std::string& arguments) {
  const std::string out = folder / "out", error = folder / "error";
  const int status = std::system((FASTNTK_PREDICT " " + arguments + " >" + out + " 2>" + error).c_str());
  return {WEXITSTATUS(status), model_files::bytes_of(out), model_files::bytes_of(error)};
}

std::string write(const char* name, const std::string& text) {
  const std::filesystem::path path = folder / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

template <class T>
std::string npy(const Matrix<T>& x, const char* descr) {
  const fastntk::View<const T> rows = x.view();
  std::string header = std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (" +
                       std::to_string(rows.rows) + ", " + std::to_string(rows.cols) + "), }";
  header.resize(118, ' ');
  std::string out("\x93NUMPY\1\0v\0", 10);
  out += header;
  return out + std::string(reinterpret_cast<const char*>(rows.data), rows.rows * rows.cols * sizeof(T));
}

// The numbers of a text of lines with commas.
std::vector<double> numbers_of(const std::string& text) {
  std::vector<double> out;
  for (const char* at = text.c_str(); *at != '\0';) {
    char* end = nullptr;
    out.push_back(std::strtod(at, &end));
    at = *end == '\0' ? end : end + 1;
  }
  return out;
}

template <class T>
void check_regression(const char* name, const char* descr) {
  const std::string model = models / (std::string(name) + ".safetensors");
  const fastntk::Model<T> expected = fastntk::Model<T>::read(model);
  const std::size_t n = 5000, d = expected.info().n_features_in, t = expected.info().n_targets;  // more than a block
  const Matrix<T> x = sketches::random_rows<T>(n, d, 1);
  Matrix<T> scores(n, t);
  expected.predict(x.view(), scores.view());
  const Answer answer = run(model + " " + write("x.npy", npy(x, descr)));
  CHECK(answer.code == 0 && answer.error.empty());
  const std::vector<double> found = numbers_of(answer.out);
  CHECK(found.size() == n * t);
  for (std::size_t i = 0; i < found.size() && i < n * t; ++i)
    if (!CHECK(static_cast<T>(found[i]) == scores(i / t, i % t))) break;
}

TEST(rows_of_npy) {
  check_regression<double>("random-two-targets", "<f8");
  check_regression<float>("random-two-targets", "<f4");
}

TEST(rows_of_csv) {
  const std::string model = models / "random-two-targets.safetensors";
  const Answer plain = run(model + " " + write("x.csv", "1,2,3,4,5\n-1, 0.5 ,1e-3,0,2\n"));
  CHECK(plain.code == 0 && numbers_of(plain.out).size() == 4);
  const Answer titled = run(model + " " + write("x.csv", "a,b,c,d,e\r\n1,2,3,4,5\r\n\r\n-1,0.5,0.001,0,2") + " --threads 1");
  CHECK(titled.out == plain.out);
  const std::string out = folder / "to";
  CHECK(run(model + " " + (folder / "x.csv").string() + " -o " + out).out.empty());
  CHECK(model_files::bytes_of(out) == plain.out);
}

TEST(fields_of_csv) {
  const std::string model = models / "random-two-targets.safetensors";
  const std::string plain = run(model + " " + write("x.csv", "1,2,3,4,5\n-1,0.5,1e-3,0,2\n")).out;
  CHECK(numbers_of(plain).size() == 4);
  for (const char* text : {"\xEF\xBB\xBF\"a\",\"b, b\",\"c\nc\",d \"x\" ,e\n1,2,3,4,5\n-1,.5,1e-3,0,2\n",
                           "\xEF\xBB\xBF+1,\"2\",\" 3 \",4,5\n-1,0.5,1e-3,0,2", "1;2;3;4;5\n-1;0.5;1e-3;0;2\n",
                           "1\t2\t3\t4\t5\r\n-1\t0.5\t1e-3\t0\t2\r\n", "a,b,inf,nan,e\n1,2,3,4,5\n-1,0.5,1e-3,0,2\n"})
    CHECK(run(model + " " + write("x.csv", text)).out == plain);
}

TEST(columns_by_name) {
  // A model whose columns have names.
  const std::string sound = model_files::bytes_of(models / "product-random.safetensors");
  const std::string_view header = model_files::header_of(sound);
  std::string titled(header);
  const std::string key = R"(\"feature_names_in\": )";
  titled.replace(titled.find(key) + key.size(), 4, R"([\"a\",\"b b\",\"c,\",\"d\",\"e\"])");
  std::string file = model_files::safetensors(titled, sound.substr(8 + header.size()));
  model_files::fix_checksum(file);
  const std::string model = write("named.safetensors", file);
  const auto info = fastntk::Model<float>::read(model).info();
  CHECK(!info.feature_names_in.empty());
  // The columns as the model has them, and the other way round with one more.
  std::string names, row, reversed("other"), reversed_row("9");
  const std::size_t d = info.feature_names_in.size();
  for (std::size_t j = 0; j < d; ++j) {
    names.append(j > 0 ? ",\"" : "\"").append(info.feature_names_in[j]).append("\"");
    row.append(j > 0 ? "," : "").append(std::to_string(j));
    reversed.append(",\"").append(info.feature_names_in[d - 1 - j]).append("\"");
    reversed_row.append(",").append(std::to_string(d - 1 - j));
  }
  const std::string expected = run(model + " " + write("x.csv", names + "\n" + row + "\n")).out;
  CHECK(!expected.empty());
  CHECK(run(model + " " + write("x.csv", reversed + "\n" + reversed_row + "\n")).out == expected);
  const Answer other = run(model + " " + write("x.csv", "a,b b,c,d,e\n1,2,3,4,5\n"));
  CHECK(other.code == 2 && other.error.find("it has no column 'c,'") != std::string::npos);
}

// OUT is as it was until all rows are predicted, and nothing stays beside it.
TEST(output_takes_the_place_at_the_end) {
  const std::string model = models / "random-two-targets.safetensors";
  const std::string out = write("precious", "as before"), beside = write("precious.new", "mine");
  CHECK(run(model + " " + write("x.csv", "1,2,3,4,5\n1,2,3,4,x\n") + " -o " + out).code == 2);
  CHECK(model_files::bytes_of(out) == "as before");
  const std::string data = write("x.csv", "1,2,3,4,5\n");
  const std::string expected = run(model + " " + data).out;
  CHECK(run(model + " " + data + " -o " + data).code == 0);  // DATA itself
  CHECK(model_files::bytes_of(data) == expected);
  CHECK(model_files::bytes_of(beside) == "mine");
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    CHECK(entry.path() == beside || entry.path().extension() != ".new");
  const std::filesystem::path link = folder / "link", target = write("target", "");
  std::filesystem::create_symlink(target, link);
  CHECK(run(model + " " + write("x.csv", "1,2,3,4,5\n") + " -o " + link.string()).code == 0);
  CHECK(std::filesystem::is_symlink(link) && model_files::bytes_of(target) == expected);
}

TEST(labels) {
  const std::string model = models / "nystroem-exact.safetensors";
  const std::string data = write("x.csv", "1,2,3,4,5\n-1,0.5,0.001,0,2\n");
  const auto expected = fastntk::Model<float>::read(model);
  const Matrix<float> x = [] {
    Matrix<float> rows(2, 5);
    const float numbers[] = {1, 2, 3, 4, 5, -1, 0.5f, 0.001f, 0, 2};
    std::copy_n(numbers, 10, rows.view().data);
    return rows;
  }();
  std::int64_t index[2];
  expected.classify(x.view(), index);
  const std::vector<double> labels = numbers_of(run(model + " " + data).out);
  CHECK(labels.size() == 2);
  for (std::size_t i = 0; i < labels.size(); ++i)
    CHECK(std::get<double>(expected.info().classes[static_cast<std::size_t>(index[i])]) == labels[i]);
  CHECK(numbers_of(run(model + " " + data + " --scores").out).size() == 2 * expected.info().n_targets);
}

TEST(bad_input) {
  const std::string model = models / "random-two-targets.safetensors";
  const auto refused = [&](const std::string& arguments, const char* why) {
    const Answer answer = run(arguments);
    const bool one_line = answer.error.find('\n') == answer.error.size() - 1;
    const bool said = answer.code == 2 && one_line && answer.error.find(why) != std::string::npos;
    if (!said) check::fail(arguments.c_str(), answer.code, answer.error);
    return said;
  };
  const std::string good = write("good.csv", "1,2,3,4,5\n");
  CHECK(refused("", "usage:"));
  CHECK(refused(model, "usage:"));
  CHECK(refused(model + " " + good + " -o", "usage:"));
  CHECK(refused(model + " " + good + " --threads x", "usage:"));
  CHECK(refused(good + " " + good, "good.csv: "));
  CHECK(refused(model + " /nonexistent.csv", "it cannot be read"));
  CHECK(refused(model + " /nonexistent.npy", "it cannot be read"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3\n"), "its rows have 3 numbers; the model's have 5"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,5\n1,2,3,4\n"), "line 2 has 4 fields"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,5\n1,2,3,4,x\n"), "line 2: 'x' is no number"));
  CHECK(refused(model + " " + write("x.csv", "1,2,b,4,5\n1,2,3,4,5\n"), "line 1 has numbers and 'b'"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,1 2\n"), "line 1 has numbers and '1 2'"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,5\n1,2,3,4,\x1b[31m\n"), "line 2: '?[31m' is no number"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,5\n1,2,3,4,\"5\n"), "a quote does not end"));
  CHECK(refused(model + " " + write("x.csv", "1,2,3,4,nan\n"), "row 0 has a number that is not finite"));
  CHECK(refused(model + " " + write("x.npy", "no"), "it cannot be read"));
  CHECK(refused(model + " " + write("x.npy", "something else"), "it is no .npy file"));
  const std::string sound = npy(sketches::random_rows<float>(3, 5, 1), "<f4");
  CHECK(refused(model + " " + write("x.npy", sound.substr(0, sound.size() - 1)), "ends too early"));
  CHECK(refused(model + " " + write("x.npy", npy(sketches::random_rows<float>(3, 5, 1), ">f4")), "its numbers are >f4"));
  CHECK(refused(model + " " + good + " -o /nonexistent/out", "it cannot be written"));
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::create_directories(folder);
  const int code = check::run_tests(argc, argv);
  std::filesystem::remove_all(folder);
  return code;
}
