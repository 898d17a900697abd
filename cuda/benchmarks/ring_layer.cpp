#include "cuda/benchmarks/ring_layer.hpp"

#include <cmath>

#include "cuda/benchmarks/document_rows.hpp"
#include "cuda/benchmarks/random_values.hpp"

namespace apb::cuda {
namespace {

std::size_t size(Index count) {
  return static_cast<std::size_t>(count);
}

}  // namespace

RingLayer::RingLayer(Index doc_len, int num_ranks, int rank, const DeviceModel<Bfloat16>& model,
                     RingMessages* messages)
    : rank_(rank),
      num_ranks_(num_ranks),
      chunks_(equal_chunks(0, doc_len, 2 * Index{num_ranks})),
      model_(model),
      messages_(messages),
      room_(model.shape, positions(), stream_.get()),
      others_(size(2 * num_ranks * most_rows() * model.shape.num_kv_heads * model.shape.head_dim)),
      sum_out_(size(room_.rows * room_.num_q_heads * room_.head_dim)),
      sum_lse_(size(room_.rows * room_.num_q_heads)) {
  fill_normal(others_.data(), static_cast<Index>(others_.size()), 1, 5, stream_.get());
}

std::vector<Index> RingLayer::positions() const {
  std::vector<Index> positions;
  for (const int chunk : {rank_, 2 * num_ranks_ - 1 - rank_}) {
    const Chunk& its = chunks_[size(chunk)];
    for (Index position = its.begin; position < its.end; ++position) positions.push_back(position);
  }
  return positions;
}

DeviceRows<Bfloat16> RingLayer::message(int owner, int half) const {
  const Index columns = room_.num_kv_heads * room_.head_dim;
  return DeviceRows<Bfloat16>::dense(
      others_.data() + (2 * Index{owner} + half) * most_rows() * columns,
      early_rows(owner) + late_rows(owner), columns);
}

KeysAndValues<Bfloat16> RingLayer::received(int owner) const {
  const auto half = [&](int which) {
    const DeviceRows<Bfloat16> rows = message(owner, which);
    return DeviceHeads<const Bfloat16>::rows_first(rows.data, rows.rows, room_.num_kv_heads,
                                                   room_.head_dim);
  };
  return {half(0), half(1)};
}

std::size_t RingLayer::message_bytes(int owner) const {
  return size(2 * (early_rows(owner) + late_rows(owner)) * room_.num_kv_heads * room_.head_dim) *
         sizeof(Bfloat16);
}

void RingLayer::attend_step(int step) {
  const Index early = early_rows(rank_), late = late_rows(rank_);
  const auto rows = [&](Index begin, Index count) {
    return QueryRows<Bfloat16>{room_.query().slice(begin, count), room_.out().slice(begin, count),
                               room_.lse.data() + begin * room_.num_q_heads};
  };
  const auto own = [&](Index begin, Index count) {
    return KeysAndValues<Bfloat16>{room_.key().slice(begin, count),
                                   room_.value().slice(begin, count)};
  };
  const double scale = 1 / std::sqrt(static_cast<double>(room_.head_dim));
  Index first = 0;  // of the rows that see something in this step
  if (step == 0) {
    // Early rows see themselves causally, late rows all early ones and themselves causally.
    attend<Bfloat16>({.anchor_rows = rows(0, early),
                      .block_rows = rows(early, late),
                      .anchor = own(0, early),
                      .block = own(early, late),
                      .passing = {},
                      .softmax_scale = scale},
                     stream_.get());
  } else {
    const bool only_early = owner(step) < rank_;
    KeysAndValues<Bfloat16> seen = received(owner(step));
    if (only_early) {
      const Index count = early_rows(owner(step));
      seen = {seen.key.slice(0, count), seen.value.slice(0, count)};
    } else {
      first = early;
    }
    attend<Bfloat16>({.anchor_rows = rows(0, 0),
                      .block_rows = rows(first, room_.rows - first),
                      .anchor = seen,
                      .block = own(0, 0),
                      .passing = {},
                      .softmax_scale = scale},
                     stream_.get());
  }
  const Index before = first * room_.num_q_heads;
  merge_step(room_.attention_out.data() + before * room_.head_dim, room_.lse.data() + before,
             room_.rows * room_.num_q_heads - before, room_.head_dim, step == 0,
             {sum_out_.data() + before * room_.head_dim, sum_lse_.data() + before}, stream_.get());
}

RingRun RingLayer::run(const std::function<void(cudaStream_t)>& before) {
  const cudaStream_t stream = stream_.get();
  fill_document_rows(room_.hidden_rows(), positions(), stream);
  before(stream);
  LayerMarks marks(stream);
  const OnPart done = [&](LayerPart part) { marks.done(part); };
  project_qkv(model_, 0, room_, products_, stream, done);
  rotate(room_, stream);
  done(LayerPart::kRope);
  std::vector<Event> steps(size(num_ranks_ + 1));
  steps[0].record(stream);
  if (messages_ != nullptr) {
    messages_->begin(*this, stream);
    done(LayerPart::kSelection);  // of the own message: its packing
  }
  for (int step = 0; step < num_ranks_; ++step) {
    if (messages_ != nullptr && step > 0) {
      messages_->await(step, stream);
      done(LayerPart::kCommunication);
    }
    attend_step(step);
    done(LayerPart::kAttention);
    steps[size(step + 1)].record(stream);
  }
  round_sums(sum_out_.data(), static_cast<Index>(sum_out_.size()), room_.attention_out.data(),
             stream);
  done(LayerPart::kAttention);
  finish_layer(model_, 0, room_, products_, stream, done);
  stream_.synchronize();
  RingRun run{marks.run(), {}, 0};
  run.total_s = run.layer.total_s;
  for (std::size_t step = 0; step + 1 < steps.size(); ++step) {
    run.step_s.push_back(seconds_between(steps[step], steps[step + 1]));
  }
  return run;
}

}  // namespace apb::cuda
