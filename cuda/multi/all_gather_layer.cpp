#include "cuda/multi/all_gather_layer.hpp"

#include "cuda/multi/copy_columns.hpp"

namespace apb::cuda {

AllGatherLayer::AllGatherLayer(const DeviceModel<Bfloat16>& model, const RankLayout& layout,
                               Partners& partners)
    : DocumentLayer(model, positions_of(layout), partners),
      own_(static_cast<std::size_t>(2 * room().rows * room().num_kv_heads * room().head_dim)),
      all_(own_.size() * static_cast<std::size_t>(partners.num_ranks())) {}

void AllGatherLayer::exchange(cudaStream_t stream) {
  partners().all_gather(own_.data(), all_.data(), own_.size() * sizeof(Bfloat16), stream);
}

KeysAndValues<Bfloat16> AllGatherLayer::gathered(Index chunk) const {
  const Index ranks = partners().num_ranks(), last = 2 * ranks - 1;
  const bool late = chunk >= ranks;
  const Index owner = late ? last - chunk : chunk;
  const Index half = static_cast<Index>(own_.size()) / 2;
  const auto part = [&](Index which) {
    return DeviceHeads<const Bfloat16>::rows_first(all_.data() + (2 * owner + which) * half,
                                                   room().rows, room().num_kv_heads,
                                                   room().head_dim)
        .slice(late ? chunk_rows() : 0, chunk_rows());
  };
  return {part(0), part(1)};
}

void AllGatherLayer::attend_chunk(Index chunk, Index first_row) {
  std::vector<KeysAndValues<Bfloat16>> before;
  for (Index earlier = 0; earlier < chunk; ++earlier) before.push_back(gathered(earlier));
  const Index rows = chunk_rows();
  const QueryRows<Bfloat16> query{room().query().slice(first_row, rows),
                                  room().out().slice(first_row, rows),
                                  room().lse.data() + first_row * room().num_q_heads};
  const QueryRows<Bfloat16> no_rows{query.query.slice(0, 0), query.out.slice(0, 0), query.lse};
  const KeysAndValues<Bfloat16> own{room().key().slice(first_row, rows),
                                    room().value().slice(first_row, rows)};
  attend<Bfloat16>({.anchor_rows = no_rows,
                    .block_rows = query,
                    .anchor = {own.key.slice(0, 0), own.value.slice(0, 0)},
                    .block = own,
                    .passing = before,
                    .softmax_scale = softmax_scale()},
                   stream());
}

void AllGatherLayer::attend_rows(const OnPart& done) {
  const Index columns = room().num_kv_heads * room().head_dim;
  const auto half = [&](Index which) {
    return DeviceRows<Bfloat16>::dense(own_.data() + which * room().rows * columns, room().rows,
                                       columns);
  };
  copy_columns<Bfloat16>(as_rows(room().key()), half(0), stream());
  copy_columns<Bfloat16>(as_rows(room().value()), half(1), stream());
  done(LayerPart::kSelection);
  exchange(stream());
  done(LayerPart::kCommunication);
  const Index early = partners().rank();
  attend_chunk(early, 0);
  attend_chunk(2 * partners().num_ranks() - 1 - early, chunk_rows());
  done(LayerPart::kAttention);
}

}  // namespace apb::cuda
