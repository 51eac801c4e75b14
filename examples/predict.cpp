// Predictions of a saved model without Python: predict MODEL.safetensors DATA.npy|.csv [-o OUT] [--scores] [--threads N]
//
// Writes a line of text for each row of DATA: its label or, of a regressor and with --scores, its numbers. Rows come and go
// in blocks, so that DATA may be larger than memory. OUT takes its place when all of it is there, unless it is a link or no
// ordinary file.
//
// A .npy file holds numbers in C order; its rows may be images. A .csv file may begin with a line of names; if the model
// knows the names of its columns they are looked up there, and other columns are left out. Commas, semicolons or tabs are
// between its fields, whichever its first line has most of, and quotes around them or not.
#include <fastntk/model.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t block_rows = 4096;

struct BadInput : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Rows of a file, in order.
class Source {
 public:
  virtual ~Source() = default;
  /// Appends the numbers of the next row, or returns false at the end.
  virtual bool next(std::vector<double>& numbers) = 0;
  /// Whether they are predicted in double, as Python would.
  virtual bool wide() const = 0;
};

class Npy : public Source {
 public:
  explicit Npy(const std::string& path) : file_(path, std::ios::binary) {
    std::string start(8, '\0');
    read(start.data(), start.size());
    if (!start.starts_with("\x93NUMPY")) throw BadInput("it is no .npy file");
    std::uint32_t length = 0;
    read(reinterpret_cast<char*>(&length), start[6] == 1 ? 2 : 4);
    if (length > (1 << 16)) throw BadInput("its header is damaged");
    std::string header(length, '\0');
    read(header.data(), header.size());
    descr_ = text_after(header, "'descr':", "'", "'");
    if (std::string_view("<f4 <f8 |u1 <i4 <i8").find(descr_) == std::string_view::npos || descr_.size() != 3)
      throw BadInput("its numbers are " + descr_ + "; <f4, <f8, |u1, <i4 or <i8 is needed");
    if (header.find("'fortran_order': False") == std::string::npos) throw BadInput("it is not in C order");
    read_shape(text_after(header, "'shape':", "(", ")"));
  }

  bool wide() const override { return descr_ == "<f8"; }

  bool next(std::vector<double>& numbers) override {
    if (rows_ == 0) return false;
    --rows_;
    if (descr_ == "<f4") append<float>(numbers);
    if (descr_ == "<f8") append<double>(numbers);
    if (descr_ == "|u1") append<std::uint8_t>(numbers);
    if (descr_ == "<i4") append<std::int32_t>(numbers);
    if (descr_ == "<i8") append<std::int64_t>(numbers);
    return true;
  }

 private:
  static std::string text_after(const std::string& header, const char* key, const char* open, const char* close) {
    const std::size_t place = header.find(key);
    const std::size_t begin = place == std::string::npos ? place : header.find(open, place + std::strlen(key));
    const std::size_t end = begin == std::string::npos ? begin : header.find(close, begin + 1);
    if (end == std::string::npos) throw BadInput("its header is damaged");
    return header.substr(begin + 1, end - begin - 1);
  }

  // "(rows, columns)", or several sizes that make a row.
  void read_shape(const std::string& shape) {
    std::vector<std::uint64_t> sizes;
    const char* at = shape.data();
    const char* const end = at + shape.size();
    while (at < end) {
      std::uint64_t size = 0;
      const auto [after, error] = std::from_chars(at, end, size);
      if (error != std::errc() || size >= std::uint64_t{1} << 40) throw BadInput("its shape is damaged");
      sizes.push_back(size);
      at = std::find_if(after, end, [](char c) { return c >= '0' && c <= '9'; });
    }
    if (sizes.size() < 2) throw BadInput("its shape is (" + shape + "); rows of numbers are needed");
    rows_ = sizes[0];
    for (std::size_t i = 1; i < sizes.size(); ++i) cols_ *= sizes[i];
    if (cols_ == 0 || cols_ >= std::uint64_t{1} << 32)
      throw BadInput("its shape is (" + shape + "); rows are too short or too long");
  }

  void read(char* to, std::size_t size) {
    if (!file_.read(to, static_cast<std::streamsize>(size))) throw BadInput("it cannot be read, or ends too early");
  }

  template <class Number>
  void append(std::vector<double>& numbers) {
    raw_.resize(cols_ * sizeof(Number));
    read(raw_.data(), raw_.size());
    for (std::size_t i = 0; i < cols_; ++i) {
      Number number;
      std::memcpy(&number, raw_.data() + i * sizeof number, sizeof number);
      numbers.push_back(static_cast<double>(number));
    }
  }

  std::ifstream file_;
  std::string descr_;
  std::uint64_t rows_ = 0, cols_ = 1;
  std::vector<char> raw_;
};

// Without what white space it begins and ends with.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(space);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

// For messages: in quotes, not too long, and without what a terminal could act on.
std::string shown(std::string_view text) {
  constexpr std::size_t longest = 60;
  std::string out = "'";
  for (const char c : text.substr(0, longest)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out + (text.size() > longest ? "...'" : "'");
}

class Csv : public Source {
 public:
  Csv(const std::string& path, const std::vector<std::string>& names) : file_(path, std::ios::binary) {
    std::string start;
    if (!std::getline(file_, start)) throw BadInput("it cannot be read, or is empty");
    const bool marked = start.starts_with("\xEF\xBB\xBF");
    file_.clear();
    file_.seekg(marked ? 3 : 0);
    const auto separators = [&](char c) { return std::ranges::count(start, c); };
    if (separators(';') > separators(separator_)) separator_ = ';';
    if (separators('\t') > separators(separator_) || path.ends_with(".tsv")) separator_ = '\t';
    if (!next_row()) throw BadInput("it cannot be read, or is empty");

    double number = 0;
    const auto is_number = [&](const std::string& field) { return parse(field, number); };
    const auto is_finite = [&](const std::string& field) { return parse(field, number) && std::isfinite(number); };
    const bool titled = std::ranges::none_of(fields_, is_finite);
    if (!titled && !std::ranges::all_of(fields_, is_number))
      throw BadInput("line 1 has numbers and " + shown(*std::ranges::find_if_not(fields_, is_number)) +
                     "; names of columns, none of which is a number, or only numbers are needed");
    for (const std::string& name : titled ? names : std::vector<std::string>()) {
      const auto found = std::ranges::find(fields_, trimmed(name));
      if (found == fields_.end()) throw BadInput("it has no column " + shown(name));
      columns_.push_back(static_cast<std::size_t>(found - fields_.begin()));
    }
    width_ = fields_.size();
    ready_ = titled ? next_row() : true;
  }

  bool wide() const override { return false; }

  bool next(std::vector<double>& numbers) override {
    if (!ready_) return false;
    const std::string where = "line " + std::to_string(line_);
    if (fields_.size() != width_)
      throw BadInput(where + " has " + std::to_string(fields_.size()) + " fields; " + std::to_string(width_) +
                     " are needed");
    for (std::size_t i = 0; i < (columns_.empty() ? width_ : columns_.size()); ++i) {
      const std::string& field = fields_[columns_.empty() ? i : columns_[i]];
      double number = 0;
      if (!parse(field, number)) throw BadInput(where + ": " + shown(field) + " is no number");
      numbers.push_back(number);
    }
    ready_ = next_row();
    return true;
  }

 private:
  static bool parse(std::string_view field, double& number) {
    if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
    const char* const end = field.data() + field.size();
    const auto [after, error] = std::from_chars(field.data(), end, number);
    return error == std::errc() && after == end;
  }

  // The fields of the next line that is not empty. A field that begins with a quote ends with the next single one; two of
  // them inside stand for one, and it may go on in further lines.
  bool next_row() {
    std::string line;
    do {
      if (!next_line(line)) return false;
    } while (line.empty());
    fields_.assign(1, "");
    for (std::size_t at = 0; at < line.size();) {
      std::string& field = fields_.back();
      const bool quotes = line[at] == '"';
      std::string inside;
      for (at += quotes; quotes; ++at) {
        while (at >= line.size()) {
          inside += '\n';
          if (!next_line(line)) throw BadInput("line " + std::to_string(line_) + ": a quote does not end");
          at = 0;
        }
        if (line[at] == '"') {
          ++at;
          if (at >= line.size() || line[at] != '"') break;
        }
        inside += line[at];
      }
      const std::size_t end = std::min(line.find(separator_, at), line.size());
      field = trimmed(inside + line.substr(at, end - at));
      at = end + 1;
      if (end < line.size()) fields_.emplace_back();
    }
    return true;
  }

  bool next_line(std::string& line) {
    if (!std::getline(file_, line)) return false;
    ++line_;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }

  std::ifstream file_;
  char separator_ = ',';
  std::vector<std::string> fields_;
  std::vector<std::size_t> columns_;  // of the model's names; empty: all
  std::size_t width_ = 0, line_ = 0;
  bool ready_ = false;
};

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
