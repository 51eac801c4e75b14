// The thread pool, as the users of any operator meet it.
#include <fastntk/config.hpp>
#include <fastntk/count_sketch.hpp>
#include <fastntk/poly_sketch.hpp>
#include <fastntk/srht.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "sketches.hpp"

namespace {

using fastntk::Cpu;
using fastntk::Srht;
using fastntk::View;
using sketches::Matrix;

constexpr std::size_t rows = 500;

Matrix<float> input() { return sketches::random_rows<float>(rows, 300); }

Matrix<float> sketch(const Matrix<float>& x, int threads) {
  Matrix<float> out(rows, 200);
  Srht<float>({300, 200, 1}, Cpu{threads})(x.view(), out.view());
  return out;
}

// Runs `body` in a forked child, which has to end within a minute; true if it returned true.
template <class Body>
bool in_a_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    bool good = false;
    try {
      good = body();
    } catch (...) {
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(many_threads_call_operators_at_once) {
  const Matrix<float> x = input();
  const Matrix<float> expected = sketch(x, 1);
  const fastntk::PolySketch<float> poly({300, 3, 128, 4}, Cpu{4});
  Matrix<float> poly_expected(rows, 128);
  poly(x.view(), poly_expected.view());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t)
    threads.emplace_back([&, t] {
      for (int repeat = 0; repeat < 10; ++repeat) {
        // One operator shared by all, and one of each thread's own, with different numbers of threads.
        Matrix<float> out(rows, 128);
        poly(x.view(), out.view());
        if (out != poly_expected) ++wrong;
        if (sketch(x, t % 5) != expected) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST(zero_threads_are_all_available_ones_and_more_than_rows_do_no_harm) {
  const Matrix<float> x = input();
  CHECK(fastntk::config().threads >= 1);
  CHECK(sketch(x, 0) == sketch(x, 1));
  CHECK(sketch(x, 100) == sketch(x, 1));
}

TEST(a_forked_child_can_use_and_fork_again) {
  const Matrix<float> x = input();
  const Matrix<float> expected = sketch(x, 4);
  CHECK(in_a_child([&] {
    return sketch(x, 4) == expected && in_a_child([&] { return sketch(x, 3) == expected; }) && sketch(x, 2) == expected;
  }));
  // And the parent still can.
  CHECK(sketch(x, 4) == expected);
}

// The address sanitizer's own allocator may be locked by another thread at the fork, and stay so in the child.
#if !defined(__SANITIZE_ADDRESS__)
TEST(a_child_forked_while_other_threads_work_can_use_operators) {
  const Matrix<float> x = input();
  const Matrix<float> expected = sketch(x, 4);
  std::atomic<bool> stop = false;
  std::vector<std::thread> busy;
  for (int t = 0; t < 3; ++t)
    busy.emplace_back([&] {
      while (!stop) sketch(x, 4);
    });
  for (int repeat = 0; repeat < 30; ++repeat)
    if (!CHECK(in_a_child([&] { return sketch(x, 4) == expected; }))) break;
  stop = true;
  for (std::thread& thread : busy) thread.join();
}
#endif

// Memory runs out in the workers: rows of 2^24 floats, each of which needs as much scratch. The exception has to arrive at
// the caller, and the pool has to work afterwards. In a child, because the limit is the process's.
// The sanitizers' allocators end the program where others throw.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(an_exception_in_a_worker_arrives_and_leaves_the_pool_usable) {
  const Matrix<float> x = input();
  const Matrix<float> expected = sketch(x, 4);
  CHECK(in_a_child([&] {
    const std::size_t d = std::size_t{1} << 24;
    const std::vector<float> row(d, 1.0f);
    std::vector<float> out(40);
    const Srht<float> large({d, 5, 1}, Cpu{4});
    if (sketch(x, 4) != expected) return false;  // the workers have started
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    const rlimit before = limit;
    limit.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (std::size_t{32} << 20);
    setrlimit(RLIMIT_AS, &limit);
    bool thrown = false;
    for (int repeat = 0; repeat < 3; ++repeat) {
      thrown = false;
      try {
        large(View<const float>(row.data(), 8, d, 0), View<float>(out.data(), 8, 5));
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      if (!thrown) break;
    }
    setrlimit(RLIMIT_AS, &before);
    return thrown && sketch(x, 4) == expected;
  }));
}
#endif

}  // namespace

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
