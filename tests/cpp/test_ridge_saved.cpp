// RidgeState as bytes and pieces: what is read goes on with the same bits, merges where it lies, and is refused if damaged.
#include <fastntk/ridge.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check.hpp"
#include "ridge_data.hpp"

using namespace fastntk;
using ridge_data::Data;
using ridge_data::same_bits;
using ridge_data::solve;
using ridge_data::state_of;

TEST(bytes_round_trip) {
  for (const std::size_t n : {0, 1, 2047, 2048, 2500}) {
    const Data data(n, 33, 3);
    for (const bool single : {true, false}) {
      RidgeState<> state = single ? state_of<float>(data, data.w.data()) : state_of<double>(data, data.w.data());
      const std::string bytes = state.to_bytes();
      RidgeState<> copy = RidgeState<>::from_bytes(bytes);
      CHECK(copy.to_bytes() == bytes);
      CHECK(copy.rows() == n);
      CHECK(copy.total_weight() == state.total_weight());
      CHECK(copy.params().n_features == 33 && copy.params().n_targets == 3);
      if (n == 0) continue;
      const RidgeSolveParams params{2, true, true, RidgePrecision::float64};
      CHECK(same_bits(solve(copy, params), solve(state, params)));
      // And they go on alike.
      const Data more(1000, 33, 3, 77);
      for (RidgeState<>* s : {&state, &copy}) s->update<float>(more.z<float>(), more.targets());
      CHECK(copy.to_bytes() == state.to_bytes());
    }
  }
}

TEST(damaged_bytes_are_refused) {
  const auto refused = [](const std::string& bytes, const std::string& part) {
    return check::throws<Error>([&] { RidgeState<>::from_bytes(bytes); }, part);
  };
  const std::string bytes = state_of<float>(Data(3, 2, 1)).to_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(refused(bytes.substr(0, size), "RidgeState: bytes"));
  CHECK(refused(bytes + '\0', "RidgeState: bytes has"));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    if (!CHECK(refused(flipped, "RidgeState: bytes"))) return;
  }
  std::string other = bytes;
  std::swap(other[0], other[1]);
  CHECK(refused(other, "is not a saved state"));
  other = bytes;
  other[8] = 3;
  CHECK(refused(other, "version 3"));
  other[8] = 2;  // of rows that were removed there is nothing
  CHECK(refused(other, "its header tells of"));
  other = bytes;
  other[bytes.size() / 2] ^= 1;
  CHECK(refused(other, "checksum"));
  // Sizes that would ask for far more memory than there is.
  other = bytes;
  other[34] = 127;
  CHECK(refused(other, "RidgeState: bytes"));
  CHECK(RidgeState<>::from_bytes(bytes).to_bytes() == bytes);
}

TEST(pieces_are_the_bytes) {
  for (const std::size_t n : {0, 3, 2500}) {
    const RidgeState<> state = state_of<float>(Data(n, 150, 2));
    std::string joined;
    std::size_t own = 0;
    for (const RidgePiece& piece : state.to_pieces()) {
      joined += piece.view();
      own += piece.own.size();
    }
    CHECK(joined == state.to_bytes());
    // The rows that wait are copied, the sums are not.
    CHECK(own < 300 + n % 2048 * (150 * sizeof(float) + 3 * sizeof(double)));
  }
}

TEST(merge_of_bytes_is_merge) {
  // Without rows, with rows that wait, with full blocks alone, with both, and with a block that only both fill.
  const auto each_pair = [](auto call) {
    for (const std::size_t n : {0, 1, 700, 2048, 3500}) {
      for (const std::size_t m : {0, 1, 700, 2048, 3500}) {
        for (const bool single : {true, false}) {
          for (const bool other_single : {true, false}) {
            const Data data(n, 33, 2), more(m, 33, 2, 7);
            call(single ? state_of<float>(data, data.w.data()) : state_of<double>(data, data.w.data()),
                 other_single ? state_of<float>(more) : state_of<double>(more));
          }
        }
      }
    }
  };
  each_pair([](RidgeState<> state, RidgeState<> other) {
    const std::string ours = state.to_bytes(), theirs = other.to_bytes();
    RidgeState<> before = RidgeState<>::from_bytes(theirs);
    state.merge_bytes(theirs);
    before.merge_bytes(ours, true);
    RidgeState<> expected = RidgeState<>::from_bytes(ours);
    expected.merge(other);
    CHECK(state.to_bytes() == expected.to_bytes());
    CHECK(before.to_bytes() == expected.to_bytes());
    CHECK(other.to_bytes() == theirs);
    // And they go on alike, trimmed or not.
    before.trim();
    CHECK(before.to_bytes() == expected.to_bytes());
    CHECK(before.to_host().to_bytes() == expected.to_bytes());
    if (before.rows() > 0) CHECK(same_bits(solve(before, {.alpha = 1}), solve(expected, {.alpha = 1})));
    const Data next(1500, 33, 2, 77);
    for (RidgeState<>* s : {&state, &before, &expected}) s->update<float>(next.z<float>(), next.targets());
    CHECK(state.to_bytes() == expected.to_bytes());
    CHECK(before.to_bytes() == expected.to_bytes());
  });
}

TEST(merge_of_pieces_cut_anywhere) {
  // More numbers than are read at a time.
  const Data data(2100, 600, 2), more(2100, 600, 2, 5);
  RidgeState<> expected = state_of<float>(data);
  expected.merge(state_of<float>(more));
  const std::string bytes = ' ' + state_of<float>(more).to_bytes();  // numbers are not aligned
  for (const std::size_t length : {1'000'003, 4099}) {
    std::vector<std::string_view> pieces = {""};
    for (std::size_t at = 1; at < bytes.size(); at += length) pieces.push_back(std::string_view(bytes).substr(at, length));
    RidgeState<> state = state_of<float>(data, nullptr, 3);
    state.merge_pieces(pieces);
    CHECK(state.to_bytes() == expected.to_bytes());
  }
}

TEST(bytes_that_cannot_be_merged_change_nothing) {
  RidgeState<> state = state_of<double>(Data(5, 2, 1));
  const std::string before = state.to_bytes(), bytes = state_of<float>(Data(3, 2, 1)).to_bytes();
  const auto refused = [&](const std::string& other, const std::string& part) {
    const auto merge = [&](bool first) {
      return check::throws<Error>([&] { state.merge_bytes(other, first); }, part) && state.to_bytes() == before;
    };
    return merge(false) && merge(true);
  };
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(refused(bytes.substr(0, size), "RidgeState: bytes"));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    if (!CHECK(refused(flipped, "RidgeState: bytes"))) return;
  }
  CHECK(refused(state_of<float>(Data(3, 3, 1)).to_bytes(), "3 features"));
  CHECK(refused(state_of<float>(Data(3, 2, 4)).to_bytes(), "4 targets"));
  CHECK(check::throws<Error>([&] { state.merge_pieces({}); }, "0 bytes"));
}

int main(int argc, char** argv) { return check::run_tests(argc, argv); }
