#include "cuda/multi/ulysses_layer.hpp"

#include "cuda/multi/copy_columns.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

std::size_t size(Index count) {
  return static_cast<std::size_t>(count);
}

}  // namespace

UlyssesLayer::UlyssesLayer(const DeviceModel<Bfloat16>& model, const RankLayout& layout,
                           Partners& partners)
    : DocumentLayer(model, positions_of(layout), partners),
      doc_len_(room().rows * ranks()),
      send_(size(doc_len_ * share())),
      heads_(size(doc_len_ * share())),
      out_(size(doc_len_ * q_columns())),
      out_back_(size(doc_len_ * q_columns())),
      lse_(size(doc_len_ * q_heads())) {
  if (room().num_kv_heads % ranks() != 0) {
    throw BadInput("ulysses", "ranks", ranks(),
                   fmt::format("a divisor of the {} KV heads", room().num_kv_heads));
  }
}

void UlyssesLayer::pack() const {
  for (Index rank = 0; rank < ranks(); ++rank) {
    const auto to = DeviceRows<Bfloat16>::dense(send_.data() + rank * room().rows * share(),
                                                room().rows, share());
    const auto part = [&](const DeviceHeads<Bfloat16>& all, Index columns, Index place) {
      copy_columns<Bfloat16>(as_rows(all).part(rank * columns, columns), to.part(place, columns),
                             stream());
    };
    part(room().query(), q_columns(), 0);
    part(room().key(), kv_columns(), q_columns());
    part(room().value(), kv_columns(), q_columns() + kv_columns());
  }
}

void UlyssesLayer::swap_to_heads(cudaStream_t stream) {
  partners().all_to_all(send_.data(), heads_.data(), size(room().rows * share()) * sizeof(Bfloat16),
                        stream);
}

void UlyssesLayer::swap_to_rows(cudaStream_t stream) {
  partners().all_to_all(out_.data(), out_back_.data(),
                        size(room().rows * q_columns()) * sizeof(Bfloat16), stream);
}

void UlyssesLayer::exchange(cudaStream_t stream) {
  swap_to_heads(stream);
  swap_to_rows(stream);
}

void UlyssesLayer::attend_heads() const {
  const Index d = room().head_dim;
  const auto part = [&](Index heads, Index place) {
    return DeviceHeads<const Bfloat16>{heads_.data() + place, doc_len_, heads, d, share(), d};
  };
  const QueryRows<Bfloat16> rows{
      part(q_heads(), 0), DeviceHeads<Bfloat16>::rows_first(out_.data(), doc_len_, q_heads(), d),
      lse_.data()};
  const KeysAndValues<Bfloat16> keys{part(kv_heads(), q_columns()),
                                     part(kv_heads(), q_columns() + kv_columns())};
  attend<Bfloat16>({.anchor_rows = {rows.query.slice(0, 0), rows.out.slice(0, 0), rows.lse},
                    .block_rows = rows,
                    .anchor = {keys.key.slice(0, 0), keys.value.slice(0, 0)},
                    .block = keys,
                    .passing = {},
                    .softmax_scale = softmax_scale()},
                   stream());
}

void UlyssesLayer::unpack() const {
  const auto to =
      DeviceRows<Bfloat16>::dense(room().attention_out.data(), room().rows, q_columns() * ranks());
  for (Index rank = 0; rank < ranks(); ++rank) {
    copy_columns<Bfloat16>(
        DeviceRows<const Bfloat16>::dense(out_back_.data() + rank * room().rows * q_columns(),
                                          room().rows, q_columns()),
        to.part(rank * q_columns(), q_columns()), stream());
  }
}

void UlyssesLayer::attend_rows(const OnPart& done) {
  pack();
  done(LayerPart::kSelection);
  swap_to_heads(stream());
  done(LayerPart::kCommunication);
  attend_heads();
  done(LayerPart::kAttention);
  swap_to_rows(stream());
  done(LayerPart::kCommunication);
  unpack();
  done(LayerPart::kSelection);
}

}  // namespace apb::cuda
