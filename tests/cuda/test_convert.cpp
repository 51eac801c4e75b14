#include <fastntk/convert.hpp>
#include <fastntk/half.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "device.hpp"

namespace {

using device::DeviceMatrix;
using fastntk::Bad;
using fastntk::Buffer;
using fastntk::Cuda;
using fastntk::Number;
using fastntk::StridedArray;
using fastntk::View;
using sketches::Matrix;

/// The array x in `memory` whose first element is number `first`.
template <class In, class Out>
std::vector<Out> converted(const std::vector<In>& memory, StridedArray x, Number to, std::size_t first = 0) {
  const Cuda backend;
  const Buffer<In, Cuda> there(backend, memory);
  x.data = there.data() + first;
  std::size_t count = 1;
  for (const std::size_t n : x.shape) count *= n;
  Buffer<Out, Cuda> out(backend, count);
  fastntk::convert(backend, x, to, out.data());
  return out.to_host();
}

TEST(every_stride_is_followed) {
  std::vector<std::int16_t> memory(3 * 5 * 7);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::int16_t>(i * 37 % 1000) - 500;
  struct Case {
    std::size_t first;
    std::vector<std::size_t> shape;
    std::vector<std::ptrdiff_t> strides;
  };
  for (const Case& c : {Case{0, {3, 5, 7}, {35, 7, 1}}, Case{0, {7, 5, 3}, {1, 7, 35}}, Case{104, {3, 5, 7}, {-35, -7, -1}},
                        Case{4, {2, 3, 2}, {35, 14, 2}}, Case{9, {4, 1, 6}, {0, 99, 3}}, Case{50, {}, {}},
                        Case{0, {0, 5}, {5, 1}}, Case{1, {1, 104, 1}, {5, 1, 5}}}) {
    const auto found =
        converted<std::int16_t, float>(memory, {nullptr, Number::int16, c.shape, c.strides}, Number::float32, c.first);
    std::vector<std::size_t> index(c.shape.size());
    for (const float value : found) {
      auto at = static_cast<std::ptrdiff_t>(c.first);
      for (std::size_t k = 0; k < index.size(); ++k) at += static_cast<std::ptrdiff_t>(index[k]) * c.strides[k];
      CHECK(value == static_cast<float>(memory[static_cast<std::size_t>(at)]));
      for (std::size_t k = index.size(); k-- > 0 && ++index[k] == c.shape[k];) index[k] = 0;
    }
  }
}

TEST(integers_are_clamped_and_halves_widened) {
  const std::vector<std::uint64_t> large = {0, 7, std::uint64_t{1} << 31, std::numeric_limits<std::uint64_t>::max()};
  const StridedArray x{nullptr, Number::uint64, {4}, {1}};
  CHECK((converted<std::uint64_t, std::int32_t>(large, x, Number::int32) ==
         std::vector<std::int32_t>{0, 7, 0x7fffffff, 0x7fffffff}));
  CHECK((converted<std::uint64_t, std::int64_t>(large, x, Number::int64)[3] == std::numeric_limits<std::int64_t>::max()));
  const std::vector<std::int64_t> small = {std::numeric_limits<std::int64_t>::min(), -1};
  CHECK((converted<std::int64_t, std::int32_t>(small, {nullptr, Number::int64, {2}, {1}}, Number::int32) ==
         std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min(), -1}));
  // All values of both 16-bit types.
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  const auto halves = converted<std::uint16_t, double>(bits, {nullptr, Number::float16, {65536}, {1}}, Number::float64);
  const auto brains = converted<std::uint16_t, float>(bits, {nullptr, Number::bfloat16, {65536}, {1}}, Number::float32);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const double exponent = static_cast<double>(i >> 10 & 31), fraction = static_cast<double>(i & 1023) / 1024;
    double wanted = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, static_cast<int>(exponent) - 15);
    if (exponent == 31) wanted = fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
    if (i >> 15) wanted = -wanted;
    CHECK(halves[i] == wanted || (std::isnan(halves[i]) && std::isnan(wanted)));
    const float brain = std::bit_cast<float>(static_cast<std::uint32_t>(i << 16));
    CHECK(brains[i] == brain || (std::isnan(brains[i]) && std::isnan(brain)));
  }
}

TEST(other_conversions_are_refused) {
  const StridedArray x{nullptr, Number::float32, {1}, {1}};
  CHECK(check::throws<fastntk::Error>([&] { fastntk::convert(Cuda(), x, Number::int32, nullptr); },
                                      "float32 and float64 only"));
  StridedArray deep{nullptr, Number::float32, std::vector<std::size_t>(9, 2), std::vector<std::ptrdiff_t>(9, 3)};
  CHECK(check::throws<fastntk::Error>([&] { fastntk::convert(Cuda(), deep, Number::float32, nullptr); }, "at most 8"));
}

template <class T>
void check_first_bad() {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  // Lengths around a vector, a thread's four vectors, and a block's.
  for (const std::size_t cols : {1, 3, 4, 5, 63, 1023, 4096, 4099}) {
    for (const std::size_t gap : {0, 1, 4}) {
      Matrix<T> x = sketches::random_rows<T>(3, cols);
      x(0, 0) = std::numeric_limits<T>::max();
      x(2, 0) = std::numeric_limits<T>::denorm_min();
      CHECK(!fastntk::first_bad<T>(Cuda(), DeviceMatrix<T>(x, gap).view()));
      for (const std::size_t at : {std::size_t{0}, cols / 2, 2 * cols - 1, 3 * cols - 1}) {
        Matrix<T> bad = x;
        for (std::size_t i = at; i < 3 * cols; ++i) bad.values[i] = (i - at) % 3 == 0 ? -infinity : nan;
        const auto found = fastntk::first_bad<T>(Cuda(), DeviceMatrix<T>(bad, gap).view());
        CHECK(found && found->row == at / cols && found->col == at % cols && !found->nan);
        const auto first_nan = fastntk::first_bad<T>(Cuda(), DeviceMatrix<T>(bad, gap).view(), Bad::nan);
        CHECK(first_nan.has_value() == (at + 1 < 3 * cols));
        if (first_nan) CHECK(first_nan->row * cols + first_nan->col == at + 1 && first_nan->nan);
      }
    }
  }
  CHECK(!fastntk::first_bad<T>(Cuda(), View<const T, Cuda>()));
}

TEST(the_first_bad_entry_is_found) {
  check_first_bad<float>();
  check_first_bad<double>();
}

TEST(rows_are_taken_in_any_order) {
  const Matrix<float> x = sketches::random_rows<float>(5, 37);
  const DeviceMatrix<float> in(x, 3);
  const std::vector<std::int64_t> rows = {4, 0, 0, 2};
  const Buffer<std::int64_t, Cuda> index(Cuda(), rows);
  DeviceMatrix<float> out(4, 37, 1);
  fastntk::take_rows<float>(Cuda(), in.view(), index.data(), out.view());
  const Matrix<float> found = out.to_host();
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t c = 0; c < 37; ++c) CHECK(found(r, c) == x(static_cast<std::size_t>(rows[r]), c));
  DeviceMatrix<float> narrow(4, 36);
  CHECK(check::throws<fastntk::Error>([&] { fastntk::take_rows<float>(Cuda(), in.view(), index.data(), narrow.view()); },
                                      "take_rows: out has 36"));
}

TEST(memory_tells_its_device) {
  const Buffer<float, Cuda> there(Cuda(), 16);
  CHECK(fastntk::device_of(there.data() + 15) == 0);
  const float here = 0;
  CHECK(check::throws<fastntk::Error>([&] { fastntk::device_of(&here); }, "not in the memory"));
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
