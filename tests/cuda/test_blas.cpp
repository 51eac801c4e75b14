// Row-major products, solves and factors of cuBLAS and cuSOLVER against plain loops in double, and the search for them.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "../../csrc/cuda/blas.cuh"
#include "../../csrc/cuda/library.cuh"
#include "device.hpp"

namespace {

using fastntk::BackendError;
using fastntk::Cuda;
using sketches::Matrix;
namespace blas = fastntk::cuda::blas;
using blas::Side;
using blas::Transpose;

constexpr std::size_t gap = 3;

template <class T>
double eps() {
  return std::numeric_limits<T>::epsilon();
}

template <class T>
T at(const Matrix<T>& a, Transpose op, std::size_t i, std::size_t j) {
  return op == Transpose::yes ? a(j, i) : a(i, j);
}

// A sum of k products of numbers below 1 in any order is within k * eps * (sum of the products' magnitudes) <= k^2 eps; with
// random signs it is far inside k eps, which a wrong flag (an error of order sqrt(k)) is far outside of.
template <class T>
double sum_tolerance(std::size_t k) {
  return 4 * static_cast<double>(k + 2) * eps<T>();
}

template <class T>
void check_gemm(std::size_t m, std::size_t n, std::size_t k) {
  for (const Transpose op_a : {Transpose::no, Transpose::yes}) {
    for (const Transpose op_b : {Transpose::no, Transpose::yes}) {
      const bool ta = op_a == Transpose::yes, tb = op_b == Transpose::yes;
      const Matrix<T> a = sketches::random_rows<T>(ta ? k : m, ta ? m : k, 1);
      const Matrix<T> b = sketches::random_rows<T>(tb ? n : k, tb ? k : n, 2);
      const Matrix<T> c = sketches::random_rows<T>(m, n, 3);
      const device::DeviceMatrix<T> da(a, gap), db(b, 0);
      for (const T beta : {T(0), T(0.5)}) {
        device::DeviceMatrix<T> dc(m, n, gap);
        if (beta != 0) dc = device::DeviceMatrix<T>(c, gap);  // with beta 0 what was there, NaN, does not matter
        blas::gemm<T>(Cuda(), op_a, op_b, m, n, k, T(-2), da.view().data, da.view().stride, db.view().data, db.view().stride,
                      beta, dc.view().data, dc.view().stride);
        const Matrix<T> found = dc.to_host();
        for (std::size_t i = 0; i < m; ++i) {
          for (std::size_t j = 0; j < n; ++j) {
            double expected = beta == 0 ? 0 : static_cast<double>(beta) * static_cast<double>(c(i, j));
            for (std::size_t p = 0; p < k; ++p)
              expected -= 2.0 * static_cast<double>(at(a, op_a, i, p)) * static_cast<double>(at(b, op_b, p, j));
            if (!CHECK_CLOSE(found(i, j), expected, sum_tolerance<T>(k))) return;
          }
        }
      }
    }
  }
}

TEST(gemm_is_the_row_major_product) {
  check_gemm<float>(1, 1, 1);
  check_gemm<float>(7, 5, 3);
  check_gemm<float>(33, 65, 130);
  check_gemm<double>(33, 65, 130);
  check_gemm<double>(1, 40, 17);
  check_gemm<float>(0, 4, 4);
  check_gemm<float>(4, 0, 4);
  check_gemm<double>(3, 4, 0);
}

// Three products of one shape, whose matrices lie in any order.
template <class T>
void check_gemm_batched(std::size_t m, std::size_t n, std::size_t k) {
  constexpr std::size_t count = 3;
  for (const Transpose op_a : {Transpose::no, Transpose::yes}) {
    for (const Transpose op_b : {Transpose::no, Transpose::yes}) {
      const bool ta = op_a == Transpose::yes, tb = op_b == Transpose::yes;
      const std::size_t rows_a = ta ? k : m, rows_b = tb ? n : k;
      const Matrix<T> a = sketches::random_rows<T>(count * rows_a, ta ? m : k, 8);
      const Matrix<T> b = sketches::random_rows<T>(count * rows_b, tb ? k : n, 9);
      const Matrix<T> c = sketches::random_rows<T>(count * m, n, 10);
      const device::DeviceMatrix<T> da(a, gap), db(b, 0);
      device::DeviceMatrix<T> dc(c, gap);
      const std::size_t order_a[] = {2, 0, 1}, order_b[] = {1, 1, 0};
      std::vector<const T*> pa, pb;
      std::vector<T*> pc;
      for (std::size_t e = 0; e < count; ++e) {
        pa.push_back(da.view().row(order_a[e] * rows_a));
        pb.push_back(db.view().row(order_b[e] * rows_b));
        pc.push_back(dc.view().row(e * m));
      }
      const fastntk::Buffer<const T*, Cuda> near_a(Cuda(), pa), near_b(Cuda(), pb);
      const fastntk::Buffer<T*, Cuda> near_c(Cuda(), pc);
      const blas::Session session{Cuda()};
      blas::gemm_batched<T>(Cuda(), op_a, op_b, m, n, k, T(-2), near_a.data(), da.view().stride, near_b.data(),
                            db.view().stride, T(0.5), near_c.data(), dc.view().stride, count);
      const Matrix<T> found = dc.to_host();
      const auto part = [](const Matrix<T>& x, std::size_t first, std::size_t rows) {
        Matrix<T> out(rows, x.cols);
        for (std::size_t e = 0; e < out.values.size(); ++e) out.values[e] = x.values[first * x.cols + e];
        return out;
      };
      for (std::size_t e = 0; e < count; ++e) {
        const Matrix<T> ae = part(a, order_a[e] * rows_a, rows_a), be = part(b, order_b[e] * rows_b, rows_b);
        for (std::size_t i = 0; i < m; ++i) {
          for (std::size_t j = 0; j < n; ++j) {
            double expected = 0.5 * static_cast<double>(c(e * m + i, j));
            for (std::size_t p = 0; p < k; ++p)
              expected -= 2.0 * static_cast<double>(at(ae, op_a, i, p)) * static_cast<double>(at(be, op_b, p, j));
            if (!CHECK_CLOSE(found(e * m + i, j), expected, sum_tolerance<T>(k))) return;
          }
        }
      }
    }
  }
}

TEST(gemm_batched_is_one_product_each) {
  check_gemm_batched<float>(1, 1, 1);
  check_gemm_batched<float>(33, 20, 40);
  check_gemm_batched<double>(5, 33, 7);
}

template <class T>
void check_syrk(std::size_t n, std::size_t k) {
  for (const Transpose op : {Transpose::no, Transpose::yes}) {
    const Matrix<T> a = sketches::random_rows<T>(op == Transpose::yes ? k : n, op == Transpose::yes ? n : k, 4);
    const Matrix<T> c = sketches::random_rows<T>(n, n, 5);
    const device::DeviceMatrix<T> da(a, gap);
    device::DeviceMatrix<T> dc(c, gap);
    blas::syrk<T>(Cuda(), op, n, k, T(3), da.view().data, da.view().stride, T(1), dc.view().data, dc.view().stride);
    const Matrix<T> found = dc.to_host();
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        double expected = static_cast<double>(c(i, j));
        for (std::size_t p = 0; p < k && j <= i; ++p)
          expected += 3.0 * static_cast<double>(at(a, op, i, p)) * static_cast<double>(at(a, op, j, p));
        if (!CHECK_CLOSE(found(i, j), expected, 2 * sum_tolerance<T>(k))) return;
      }
    }
  }
}

TEST(syrk_is_the_lower_triangle) {
  check_syrk<float>(1, 1);
  check_syrk<float>(37, 50);
  check_syrk<double>(65, 20);
}

// Well conditioned: a diagonal that dominates.
template <class T>
Matrix<T> lower_matrix(std::size_t n) {
  Matrix<T> l = sketches::random_rows<T>(n, n, 6);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) l(i, j) = j > i ? std::numeric_limits<T>::quiet_NaN() : l(i, j) / static_cast<T>(n);
    l(i, i) = T(1) + std::abs(l(i, i));
  }
  return l;
}

template <class T>
void check_trsm(std::size_t m, std::size_t n) {
  for (const Side side : {Side::left, Side::right}) {
    for (const Transpose op : {Transpose::no, Transpose::yes}) {
      const std::size_t order = side == Side::left ? m : n;
      const Matrix<T> l = lower_matrix<T>(order);
      const Matrix<T> b = sketches::random_rows<T>(m, n, 7);
      const device::DeviceMatrix<T> dl(l, gap);
      device::DeviceMatrix<T> db(b, gap);
      blas::trsm<T>(Cuda(), side, op, m, n, dl.view().data, dl.view().stride, db.view().data, db.view().stride);
      const Matrix<T> x = db.to_host();
      const auto entry = [&](std::size_t i, std::size_t j) {
        const bool below = op == Transpose::yes ? i <= j : j <= i;
        return below ? static_cast<double>(at(l, op, i, j)) : 0.0;
      };
      // |x| <= e and rows of l sum to at most 3, so substitution's residual is below 3e * order * eps.
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          double product = 0;
          for (std::size_t p = 0; p < order; ++p)
            product +=
                side == Side::left ? entry(i, p) * static_cast<double>(x(p, j)) : static_cast<double>(x(i, p)) * entry(p, j);
          if (!CHECK_CLOSE(product, b(i, j), 10 * static_cast<double>(order) * eps<T>())) return;
        }
      }
    }
  }
}

TEST(trsm_solves_from_both_sides) {
  check_trsm<float>(1, 1);
  check_trsm<float>(30, 41);
  check_trsm<double>(41, 30);
}

template <class T>
int factor(Matrix<T> a, Matrix<T>& out) {
  const std::size_t n = a.rows;
  device::DeviceMatrix<T> da(a, gap);
  const std::size_t size = blas::potrf_work<T>(Cuda(), n, da.view().stride);
  fastntk::Buffer<T, Cuda> work(Cuda(), size);
  fastntk::Buffer<int, Cuda> info(Cuda(), 1);
  blas::potrf<T>(Cuda(), n, da.view().data, da.view().stride, work.data(), size, info.data());
  out = da.to_host();
  return info.to_host()[0];
}

template <class T>
void check_potrf(std::size_t n) {
  const Matrix<T> l = lower_matrix<T>(n);
  Matrix<T> a(n, n), found(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t p = 0; p <= std::min(i, j); ++p) sum += static_cast<double>(l(i, p)) * static_cast<double>(l(j, p));
      a(i, j) = j > i ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(sum);
    }
  }
  CHECK(factor(a, found) == 0);
  // a's smallest eigenvalue is above 1/10 and its largest below 10: the factor moves by less than 100 n eps.
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j)
      if (!CHECK_CLOSE(found(i, j), l(i, j), 100 * static_cast<double>(n) * eps<T>())) return;
  }
  a(n - 1, n - 1) = -1;
  CHECK(factor(a, found) == static_cast<int>(n));
}

TEST(potrf_gives_the_lower_factor_and_the_first_bad_minor) {
  check_potrf<float>(1);
  check_potrf<float>(45);
  check_potrf<double>(100);
}

TEST(the_other_device_has_handles_of_its_own) {
  if (fastntk::config().cuda_devices.size() < 2) return;
  const Cuda second{.device = 1};
  const Matrix<float> a = sketches::random_rows<float>(4, 4);
  const device::DeviceMatrix<float> da(a, 0, second);
  device::DeviceMatrix<float> dc(4, 4, 0, second);
  blas::gemm<float>(second, Transpose::no, Transpose::no, 4, 4, 4, 1.0f, da.view().data, 4, da.view().data, 4, 0.0f,
                    dc.view().data, 4);
  double expected = 0;
  for (std::size_t p = 0; p < 4; ++p) expected += static_cast<double>(a(0, p)) * static_cast<double>(a(p, 3));
  CHECK_CLOSE(dc.to_host()(0, 3), expected, sum_tolerance<float>(4));
}

// Environment variables of the search, restored afterwards.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(a_missing_library_is_explained) {
  const fastntk::cuda::LibrarySearch search{
      "cuNothing", "FASTNTK_CUNOTHING", {"libcunothing.so.13", "libcunothing.so.12"}, {"nvidia/cu13/lib"}};
  const auto open = [&] { fastntk::cuda::open_library(search); };
  CHECK(check::throws<BackendError>(open, "cuNothing was not found"));
  CHECK(check::throws<BackendError>(open, "pip install fastntk[cuda]"));
  CHECK(check::throws<BackendError>(open, "libcunothing.so.13: cannot open"));
  CHECK(check::throws<BackendError>(open, "nvidia/cu13/lib: not there"));
  const Variable directories("FASTNTK_CUDA_LIBRARY_PATH", "/nowhere::/elsewhere");
  CHECK(check::throws<BackendError>(open, "/elsewhere: not there"));
  const Variable file("FASTNTK_CUNOTHING", "/nowhere/libcunothing.so");
  CHECK(check::throws<BackendError>(open, "could not be loaded from FASTNTK_CUNOTHING=/nowhere/libcunothing.so"));
}

TEST(a_library_is_found_where_it_is_said_to_be) {
  std::string found;
  const fastntk::cuda::LibrarySearch loaded{"libm", "FASTNTK_TEST_LIBM", {"libnone.so.9", "libm.so.6"}, {}};
  void* const library = fastntk::cuda::open_library(loaded, &found);
  CHECK(found == "libm.so.6");
  CHECK(fastntk::cuda::symbol(library, loaded, "cos") != nullptr);
  CHECK(check::throws<BackendError>([&] { fastntk::cuda::symbol(library, loaded, "cosmos"); }, "libm has no cosmos"));
  const Variable file("FASTNTK_TEST_LIBM", "libdl.so.2");
  fastntk::cuda::open_library(loaded, &found);
  CHECK(found == "libdl.so.2");
}

}  // namespace

int main(int argc, char** argv) { return device::run_tests(argc, argv); }
