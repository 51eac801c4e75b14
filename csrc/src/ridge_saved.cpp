// The states that RidgeState saves, and what reads them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ridge.hpp"
#include "ridge_bytes.hpp"

namespace fastntk {
namespace {

// Of saved sums, on their way into a state.
constexpr std::size_t numbers_at_once = std::size_t{1} << 17;

/// The header, which `reader` is at and is behind afterwards. Throws Error on anything but a saved state: from here on all
/// bytes are as they were written.
template <Backend B>
RidgeHeader read_header(ByteReader& reader) {
  constexpr std::size_t capacity = RowBlock<float, B>::capacity;
  const std::size_t size = reader.size();
  RidgeHeader header;
  require(size >= sizeof header + sizeof(std::uint64_t),
          [&] { return "RidgeState: bytes has " + std::to_string(size) + " bytes, too few for a state"; });
  reader.read(&header, 1);
  require(header.magic == RidgeHeader::magic_value, "RidgeState: bytes is not a saved state (its first 8 bytes are wrong)");
  require(header.version == RidgeHeader::plain_version || header.version == RidgeHeader::residue_version, [&] {
    return "RidgeState: bytes has format version " + std::to_string(header.version) + "; this build reads versions up to " +
           std::to_string(RidgeHeader::residue_version);
  });
  // Before anything is allocated: sizes within limits, and the length that follows from them.
  require(header.n_features > 0 && header.n_features <= most_ridge_columns && header.n_targets > 0 &&
              header.n_targets <= most_ridge_columns && header.tile_edge == TriangleTiles(header.n_features).edge &&
              header.block_capacity == capacity && header.waiting < capacity && (header.rows > 0 || header.waiting == 0) &&
              (header.element_bytes == sizeof(float) || header.element_bytes == sizeof(double)),
          "RidgeState: bytes is damaged (impossible sizes in its header)");
  require(size == header.size() + sizeof(std::uint64_t), [&] {
    return "RidgeState: bytes has " + std::to_string(size) + " bytes; its header tells of " +
           std::to_string(header.size() + sizeof(std::uint64_t));
  });
  require(reader.checksum_agrees(), "RidgeState: bytes is damaged (the checksum does not agree)");
  return header;
}

}  // namespace

template <Backend B>
template <Real T>
void RidgeState<B>::State::add_saved(const RidgeHeader& header, ByteReader reader, bool before) {
  Tile<B> memory(backend);
  const ProductLibrary<B> library(backend);
  const auto array = [&]<class U>(U, std::size_t n_rows, std::size_t cols) {
    return View<U, B>(memory.template scratch<U>(1, n_rows * cols).data, n_rows, cols);
  };
  std::vector<double> saved_residue(header.residue_size());
  reader.read(saved_residue.data(), saved_residue.size());
  std::vector<double> new_residue = sum_of_residues(residue, saved_residue);
  const std::size_t at_once = std::min(numbers_at_once, gram.size());
  const View<double, B> numbers = array(double{}, 1, at_once);
  const View<T, B> z = array(T{}, ridge_rows_at_once, params.n_features);
  const View<double, B> rights = array(double{}, ridge_rows_at_once, right_cols);
  // Our rows that wait, if others come before them.
  const std::size_t behind = before && header.waiting > 0 ? waiting() : 0;
  const View<T, B> last_z = array(T{}, behind, params.n_features);
  const View<double, B> last_rights = array(double{}, behind, right_cols);
  if (header.waiting > 0) prepare_products<T>(memory, tiles);
  // All that can fail for lack of memory comes before the first change. The type of the block is that of the rows that come
  // last.
  if (before ? waiting() == 0 && header.rows > 0 : header.waiting > 0 || rows == 0) block_of<T>(memory);
  if (behind > 0) {
    RowBlock<T, B>& rows_of = std::get<RowBlock<T, B>>(block);
    read_block(backend, tiles, rows_of, 0, last_z);
    copy_numbers(backend, right.data(), behind * right_cols, last_rights.data);
    rows_of.rows = 0;
  }

  for (Buffer<double, B>* const sum : {&gram, &cross, &sums}) {
    for (std::size_t first = 0; first < sum->size(); first += at_once) {
      const std::size_t count = std::min(at_once, sum->size() - first);
      reader.read(backend, numbers.data, count);
      add_numbers(backend, numbers.data, count, sum->data() + first);
    }
  }
  ByteReader rights_reader = reader;
  reader.skip(header.waiting * right_cols * sizeof(double));
  for (std::size_t first = 0; first < header.waiting; first += ridge_rows_at_once) {
    const std::size_t count = std::min<std::size_t>(ridge_rows_at_once, header.waiting - first);
    reader.read(backend, z.data, count * params.n_features);
    rights_reader.read(backend, rights.data, count * right_cols);
    append_rows<T>(memory, z.row_block(0, count), rights.row_block(0, count));
  }
  if (behind > 0) append_rows<T>(memory, last_z, last_rights);
  total_weight += header.total_weight;
  rows += header.rows;
  residue = std::move(new_residue);
}

template <Backend B>
void RidgeState<B>::State::add_saved(const RidgeHeader& header, const ByteReader& reader, bool before) {
  if (header.element_bytes == sizeof(double)) return add_saved<double>(header, reader, before);
  add_saved<float>(header, reader, before);
}

template <Backend B>
void RidgeState<B>::merge_pieces(std::span<const std::string_view> pieces, bool before) {
  ByteReader reader(pieces);
  const RidgeHeader header = read_header<B>(reader);
  require_same_sizes(state_->params, {header.n_features, header.n_targets});
  if (before && header.waiting > 0 && state_->waiting() > 0 && header.element_bytes != state_->element_bytes()) {
    // Their rows are a block of their own, whose product comes before our sums.
    auto first = std::make_unique<State>(state_->params, state_->backend);
    first->add_saved(header, reader, false);
    RidgeState sum(std::move(first));
    sum.merge(*this);
    *this = std::move(sum);
    return;
  }
  state_->add_saved(header, reader, before);
}

template <Backend B>
RidgeState<B> RidgeState<B>::from_bytes(std::string_view bytes, B backend) {
  ByteReader reader({&bytes, 1});
  const RidgeHeader header = read_header<B>(reader);
  auto state = std::make_unique<State>(RidgeStateParams{header.n_features, header.n_targets}, backend);
  state->add_saved(header, reader, false);
  return RidgeState(std::move(state));
}

template <Backend B>
std::vector<RidgePiece> RidgeState<B>::State::saved(bool in_place) const {
  RidgeHeader header;
  header.version = residue.empty() ? RidgeHeader::plain_version : RidgeHeader::residue_version;
  header.tile_edge = tiles.edge;
  header.block_capacity = RowBlock<float, B>::capacity;
  header.n_features = params.n_features;
  header.n_targets = params.n_targets;
  header.rows = rows;
  header.waiting = waiting();
  header.element_bytes = element_bytes();
  header.total_weight = total_weight;

  ByteWriter writer(header.size());
  if (!in_place) writer.reserve(header.size() + sizeof(std::uint64_t));
  writer.write(&header, 1);
  writer.write(residue.data(), residue.size());
  for (const Buffer<double, B>* const large : {&gram, &cross}) {
    if (in_place) {
      writer.refer(large->data(), large->size());
    } else {
      writer.write(backend, large->data(), large->size());
    }
  }
  writer.write(backend, sums.data(), sums.size());
  writer.write(backend, right.data(), header.waiting * right_cols);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        Array<T, B> some(backend, ridge_rows_at_once, params.n_features);
        for (std::size_t r = 0; r < header.waiting; r += ridge_rows_at_once) {
          const View<T, B> some_rows = some.view().row_block(0, std::min(ridge_rows_at_once, header.waiting - r));
          read_block(backend, tiles, rows_of, r, some_rows);
          writer.write(backend, some_rows.data, some_rows.rows * some_rows.cols);
        }
      },
      block);
  return std::move(writer).finish();
}

template <Backend B>
std::string RidgeState<B>::to_bytes() const {
  return std::move(state_->saved(false).front().own);
}

template <Backend B>
std::vector<RidgePiece> RidgeState<B>::to_pieces() const {
  return state_->saved(std::is_same_v<B, Cpu>);
}

template <Backend B>
RidgeState<Cpu> RidgeState<B>::to_host(Cpu cpu) const {
  const State& s = *state_;
  auto host = std::make_unique<RidgeState<Cpu>::State>(s.params, cpu);
  const auto copy = [&](const Buffer<double, B>& from, Buffer<double, Cpu>& to) {
    copy_out(s.backend, from.data(), from.size() * sizeof(double), to.data());
  };
  copy(s.gram, host->gram);
  copy(s.cross, host->cross);
  copy(s.sums, host->sums);
  std::visit(
      [&]<class T>(const RowBlock<T, B>& rows_of) {
        Tile<Cpu> memory(cpu);
        host->template block_of<T>(memory);
        Array<T, B> some(s.backend, ridge_rows_at_once, s.params.n_features);
        Array<T, Cpu> z(cpu, ridge_rows_at_once, s.params.n_features);
        Array<double, Cpu> rights(cpu, ridge_rows_at_once, s.right_cols);
        for (std::size_t r = 0; r < rows_of.rows; r += ridge_rows_at_once) {
          const std::size_t count = std::min(ridge_rows_at_once, rows_of.rows - r);
          read_block(s.backend, s.tiles, rows_of, r, some.view().row_block(0, count));
          copy_out(s.backend, some.view().data, count * s.params.n_features * sizeof(T), z.view().data);
          copy_out(s.backend, s.right_rows(r, count).data, count * s.right_cols * sizeof(double), rights.view().data);
          host->template append_rows<T>(memory, z.view().row_block(0, count), rights.view().row_block(0, count));
        }
      },
      s.block);
  host->total_weight = s.total_weight;
  host->rows = s.rows;
  host->residue = s.residue;
  return RidgeState<Cpu>(std::move(host));
}

template std::string RidgeState<FASTNTK_BACKEND>::to_bytes() const;
template RidgeState<Cpu> RidgeState<FASTNTK_BACKEND>::to_host(Cpu) const;
template std::vector<RidgePiece> RidgeState<FASTNTK_BACKEND>::to_pieces() const;
template RidgeState<FASTNTK_BACKEND> RidgeState<FASTNTK_BACKEND>::from_bytes(std::string_view, FASTNTK_BACKEND);
template void RidgeState<FASTNTK_BACKEND>::merge_pieces(std::span<const std::string_view>, bool);

}  // namespace fastntk
