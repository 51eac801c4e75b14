// Rows of numbers in .npy and .csv files, read in order.
//
// A .npy file holds numbers in C order; its rows may be images. A .csv file may begin with a line of names; if columns are
// asked for by their names they are looked up there, and others are left out. Commas, semicolons or tabs are between its
// fields, whichever its first line has most of, and quotes around them or not.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

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
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(space);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

// For messages: in quotes, not too long, and without what a terminal could act on.
inline std::string shown(std::string_view text) {
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
