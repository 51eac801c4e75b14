#include "bench.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace bench {
namespace {

double seconds_of(const std::function<void()>& call, std::size_t count, const std::function<void()>& wait) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) call();
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double median(Times times) {
  if (times.empty()) return 0;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

std::vector<Times> alternate(const std::vector<std::function<void()>>& contenders, int rounds, double seconds,
                             const std::function<void()>& wait) {
  std::vector<std::size_t> calls;
  for (const auto& contender : contenders) {
    contender();
    wait();
    std::size_t count = 1;
    while (seconds_of(contender, count, wait) < seconds / 2) count *= 2;
    calls.push_back(count);
  }
  std::vector<Times> times(contenders.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      contenders[i]();  // what the one before left in the cache is not this one's to pay for
      wait();
      times[i].push_back(seconds_of(contenders[i], calls[i], wait) / static_cast<double>(calls[i]));
    }
  return times;
}

namespace {

template <class T>
void scale_all(T* x, std::size_t n, T factor) {
  for (std::size_t i = 0; i < n; ++i) x[i] *= factor;
}

template <class T>
void stream_copy_all(const T* x, T* out, std::size_t n) {
  std::size_t i = 0;
#if defined(__AVX512F__) || defined(__AVX__) || defined(__SSE2__)
#if defined(__AVX512F__)
  using Vector = __m512i;
  const auto copy = [](const T* from, T* to) {
    _mm512_stream_si512(reinterpret_cast<Vector*>(to), _mm512_loadu_si512(from));
  };
#elif defined(__AVX__)
  using Vector = __m256i;
  const auto copy = [](const T* from, T* to) {
    _mm256_stream_si256(reinterpret_cast<Vector*>(to), _mm256_loadu_si256(reinterpret_cast<const Vector*>(from)));
  };
#else
  using Vector = __m128i;
  const auto copy = [](const T* from, T* to) {
    _mm_stream_si128(reinterpret_cast<Vector*>(to), _mm_loadu_si128(reinterpret_cast<const Vector*>(from)));
  };
#endif
  constexpr std::size_t lanes = sizeof(Vector) / sizeof(T);
  for (; i < n && reinterpret_cast<std::uintptr_t>(out + i) % sizeof(Vector) != 0; ++i) out[i] = x[i];
  for (; i + lanes <= n; i += lanes) copy(x + i, out + i);
  _mm_sfence();
#endif
  for (; i < n; ++i) out[i] = x[i];
}

}  // namespace

void scale(float* x, std::size_t n, float factor) { scale_all(x, n, factor); }
void scale(double* x, std::size_t n, double factor) { scale_all(x, n, factor); }
void stream_copy(const float* x, float* out, std::size_t n) { stream_copy_all(x, out, n); }
void stream_copy(const double* x, double* out, std::size_t n) { stream_copy_all(x, out, n); }

template <class T>
Array<T>::Array(std::size_t size) : size_(size) {
  constexpr std::size_t page = std::size_t{1} << 21;
  const std::size_t bytes = (std::max<std::size_t>(size * sizeof(T), 1) + page - 1) / page * page;
  void* memory = std::aligned_alloc(page, bytes);
  if (!memory) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  data_.reset(static_cast<T*>(memory));
  std::uint64_t state = 0x9E3779B97F4A7C15u;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    if constexpr (std::is_floating_point_v<T>) {
      data_.get()[i] = static_cast<T>(static_cast<double>(state >> 11) * 0x1p-52 - 1);
    } else {
      data_.get()[i] = static_cast<T>(state >> 32);
    }
  }
}

template <class T>
void Array<T>::Free::operator()(T* p) const {
  std::free(p);
}

template class Array<float>;
template class Array<double>;
template class Array<std::uint32_t>;

void print(const Result& result) {
  const bool is_time = result.unit == "s";
  const double seconds = median(result.times);
  const double floor_seconds = median(result.floor_times);
  Times ratios;
  for (std::size_t i = 0; i < std::min(result.times.size(), result.floor_times.size()); ++i)
    ratios.push_back(is_time ? result.times[i] / result.floor_times[i]
                             : result.work / result.times[i] / (result.floor_work / result.floor_times[i]));
  const auto rate = [&](double work, double time) { return is_time ? time : work / time * 1e-9; };
  std::printf(
      "{\"op\": \"%s\", \"backend\": \"%s\", \"dtype\": \"%s\", \"shape\": \"%s\", \"median_s\": %.4g, \"rate\": %.4g, "
      "\"unit\": \"%s\"",
      result.op.c_str(), result.backend.c_str(), result.dtype.c_str(), result.shape.c_str(), seconds,
      rate(result.work, seconds), result.unit.c_str());
  if (!ratios.empty())
    std::printf(", \"floor\": \"%s\", \"floor_rate\": %.4g, \"ratio\": %.3f", result.floor.c_str(),
                rate(result.floor_work, floor_seconds), median(ratios));
  if (!result.note.empty()) std::printf(", \"note\": \"%s\"", result.note.c_str());
  std::printf("}\n");
  std::fflush(stdout);
}

void require(bool condition, const std::string& message) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

}  // namespace bench
