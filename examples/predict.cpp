// Predictions of a saved model without Python: predict MODEL.safetensors DATA.npy|.csv [-o OUT] [--scores] [--threads N]
//
// Writes a line of text for each row of DATA: its label or, of a regressor and with --scores, its numbers. Rows come and go
// in blocks, so that DATA may be larger than memory. OUT takes its place when all of it is there, unless it is a link or no
// ordinary file.
//
// rows.hpp says what DATA may be. Columns are looked up by their names if the model knows them.
#include <fastntk/model.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "rows.hpp"

namespace {

constexpr std::size_t block_rows = 4096;

// A file that is written beside the one that is wanted, and takes its place when all of it is there.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path) {
    if (path.empty()) return;
    std::error_code error;
    if (std::filesystem::exists(path, error) &&
        (std::filesystem::is_symlink(path, error) || !std::filesystem::is_regular_file(path, error))) {
      file_.open(path);  // a link, whose place nothing else is to take, a terminal or a pipe
    } else {
      std::random_device random;
      for (int i = 0; i < 16 && new_.empty(); ++i) {
        const std::string name = path + "." + std::to_string(random()) + ".new";
        if (std::FILE* const made = std::fopen(name.c_str(), "wx")) {
          std::fclose(made);
          new_ = name;
        }
      }
      if (!new_.empty()) file_.open(new_);
    }
    if (!file_.is_open()) fail();
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    std::error_code ignored;
    if (!new_.empty()) std::filesystem::remove(new_, ignored);
  }

  std::ostream& stream() { return path_.empty() ? std::cout : file_; }

  void finish() {
    if (!stream().flush()) fail();
    if (new_.empty()) return;
    file_.close();
    std::error_code error;
    if (file_) std::filesystem::rename(new_, path_, error);
    if (!file_ || error) fail();
    new_.clear();
  }

 private:
  [[noreturn]] void fail() const { throw BadInput((path_.empty() ? "the output" : path_) + ": it cannot be written"); }

  std::string path_, new_;
  std::ofstream file_;
};

// In as few digits as tell the numbers of its type apart.
template <class Number>
void write(std::ostream& out, Number number) {
  char digits[32];
  out.write(digits, std::to_chars(digits, digits + sizeof digits, number).ptr - digits);
}

void write(std::ostream& out, const fastntk::ModelLabel& label) {
  if (const auto* const text = std::get_if<std::string>(&label)) {
    out << *text;
  } else if (const auto* const number = std::get_if<double>(&label)) {
    write(out, *number);
  } else if (const auto* const whole = std::get_if<std::int64_t>(&label)) {
    out << *whole;
  } else if (const auto* const large = std::get_if<std::uint64_t>(&label)) {
    out << *large;
  } else {
    out << (std::get<bool>(label) ? "True" : "False");
  }
}

struct Options {
  std::string model, data, out;
  bool scores = false;
  int threads = 0;
};

template <class T>
void predict(const fastntk::ModelFile& file, Source& source, const Options& options, std::ostream& out) {
  const fastntk::Model<T> model(file, fastntk::Cpu{options.threads});
  const std::size_t d = model.info().n_features_in, t = model.info().n_targets;
  const bool labels = !model.info().classes.empty() && !options.scores;
  std::vector<double> row;
  std::vector<T> x, scores;
  std::vector<std::int64_t> index;
  for (std::size_t first = 0, n = block_rows; n == block_rows; first += n) {
    x.clear();
    for (n = 0; n < block_rows && source.next(row); ++n, row.clear()) {
      if (row.size() != d)
        throw BadInput("its rows have " + std::to_string(row.size()) + " numbers; the model's have " + std::to_string(d));
      for (const double number : row) {
        x.push_back(static_cast<T>(number));
        if (!std::isfinite(x.back()))
          throw BadInput("row " + std::to_string(first + n) + " has a number that is not finite");
      }
    }
    if (labels) {
      index.resize(n);
      model.classify({x.data(), n, d}, index.data());
      for (const std::int64_t i : index) {
        write(out, model.info().classes[static_cast<std::size_t>(i)]);
        out << '\n';
      }
      continue;
    }
    scores.resize(n * t);
    model.predict({x.data(), n, d}, {scores.data(), n, t});
    for (std::size_t i = 0; i < n * t; ++i) {
      write(out, scores[i]);
      out << ((i + 1) % t == 0 ? '\n' : ',');
    }
  }
}

Options parse(int argc, char** argv) {
  const std::string usage = "usage: predict MODEL.safetensors DATA.npy|.csv [-o OUT] [--scores] [--threads N]";
  Options options;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool valued = argument == "-o" || argument == "--threads";
    if (valued && i + 1 == argc) throw BadInput(usage);
    if (argument == "-o") {
      options.out = argv[++i];
    } else if (argument == "--threads") {
      const std::string_view text = argv[++i];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.threads);
      if (error != std::errc() || end != text.data() + text.size() || options.threads < 1) throw BadInput(usage);
    } else if (argument == "--scores") {
      options.scores = true;
    } else if (argument.starts_with('-')) {
      throw BadInput(usage);
    } else {
      places.push_back(argument);
    }
  }
  if (places.size() != 2) throw BadInput(usage);
  options.model = places[0];
  options.data = places[1];
  return options;
}

void run(const Options& options) {
  const auto file = fastntk::ModelFile::read(options.model, false);
  Output to(options.out);
  std::ostream& out = to.stream();
  try {
    std::unique_ptr<Source> source;
    if (options.data.ends_with(".npy")) {
      source = std::make_unique<Npy>(options.data);
    } else {
      source = std::make_unique<Csv>(options.data, model_info(file).feature_names_in);
    }
    source->wide() ? predict<double>(file, *source, options, out) : predict<float>(file, *source, options, out);
  } catch (const BadInput& error) {
    throw BadInput(options.data + ": " + error.what());
  }
  to.finish();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "predict: " << error.what() << '\n';
    return 2;
  }
}
