#include "sim/work/plan_builder.hpp"

#include <algorithm>
#include <numeric>

#include "sim/methods/block_lengths.hpp"

namespace apb::sim {

PlanBuilder::PlanBuilder(const Job& job, int num_ranks, Index tensor_parallel, LayerPlan& plan)
    : job_(job), tensor_parallel_(tensor_parallel), plan_(plan) {
  plan_.num_ranks = num_ranks;
  plan_.steps.clear();
  next_step();
}

void PlanBuilder::next_step() {
  constexpr std::size_t kUsualOperations = 8;  // of a rank in a step
  plan_.steps.emplace_back().before.reserve(kUsualOperations *
                                            static_cast<std::size_t>(plan_.num_ranks));
  target_ = &plan_.steps.back().before;
}

Index PlanBuilder::own_q_heads() const {
  return largest_share(job_.model.num_q_heads, tensor_parallel_);
}

Index PlanBuilder::own_kv_heads() const {
  return largest_share(job_.model.num_kv_heads, tensor_parallel_);
}

Operation& PlanBuilder::add(int rank, Part part, OperationKind kind) {
  Operation& operation = target_->emplace_back();
  operation.rank = rank;
  operation.part = part;
  operation.kind = kind;
  return operation;
}

void PlanBuilder::gemm(int rank, Part part, Index m, Index n, Index k) {
  Operation& operation = add(rank, part, OperationKind::kGemm);
  operation.m = m * job_.batch;
  operation.n = n;
  operation.k = k;
  operation.bytes = (operation.m * (n + k) + n * k) * job_.element_bytes;
}

void PlanBuilder::stream(int rank, Part part, Index bytes, int launches) {
  Operation& operation = add(rank, part, OperationKind::kStream);
  operation.bytes = bytes;
  operation.launches = launches;
}

void PlanBuilder::attend(int rank, Index rows, Index pairs, Index keys, MaskKind mask,
                         Index heads) {
  if (rows == 0 || heads == 0) return;
  Operation& operation = add(rank, Part::kAttention, OperationKind::kAttention);
  const Index kv_heads = largest_share(heads, job_.model.num_q_heads / job_.model.num_kv_heads);
  operation.rows = rows;
  operation.pairs = pairs;
  operation.heads = heads * job_.batch;
  operation.head_dim = job_.model.head_dim;
  operation.mask = mask;
  operation.bytes =
      2 * (bytes(rows, heads * job_.model.head_dim) + bytes(keys, kv_heads * job_.model.head_dim));
}

void PlanBuilder::attend_blocks(int rank, Index rows, Index keys, Index times) {
  if (rows == 0) return;
  attend(rank, rows, rows * keys, keys, MaskKind::kFull);
  target_->back().times = times;
}

void PlanBuilder::merge_steps(int rank, Index rows, Index times) {
  if (rows == 0) return;
  constexpr Index kSumBytes = 2 * sizeof(float);  // read and written
  stream(rank, Part::kAttention,
         bytes(rows, out_width()) + rows * out_width() * kSumBytes * job_.batch);
  target_->back().times = times;
}

void PlanBuilder::attend_sparse(int rank, Index rows, Index pairs) {
  attend(rank, rows, pairs, rows, MaskKind::kCausal);
  target_->back().sparse = true;
}

void PlanBuilder::project(int rank, Index rows) {
  const ModelSizes& model = job_.model;
  const Index heads = own_q_heads() + 2 * own_kv_heads();
  const Index rotated = own_q_heads() + own_kv_heads();
  stream(rank, Part::kOthers, 2 * bytes(rows, model.hidden_size));  // norm
  gemm(rank, Part::kQkv, rows, heads * model.head_dim, model.hidden_size);
  stream(rank, Part::kOthers, 2 * bytes(rows, rotated * model.head_dim));  // RoPE
}

Exchange& PlanBuilder::exchange(CollectiveKind kind, Meeting meeting, Index calls) {
  const std::vector<Index> zeros(static_cast<std::size_t>(plan_.num_ranks), 0);
  return plan_.steps.back().exchange.emplace(Exchange{kind, meeting, calls, zeros, zeros, zeros});
}

void PlanBuilder::all_gather(const std::vector<Index>& own_bytes, Index calls) {
  Exchange& gather = exchange(CollectiveKind::kAllGather, Meeting::kAllRanks, calls);
  const Index all = std::accumulate(own_bytes.begin(), own_bytes.end(), Index{0});
  for (std::size_t r = 0; r < own_bytes.size(); ++r) {
    gather.received[r] = all - own_bytes[r];
    gather.sent[r] = own_bytes[r] * (plan_.num_ranks - 1);
    gather.size[r] = all / calls;
  }
}

void PlanBuilder::ring_steps(const Chunk& steps, const BlockLengths& blocks) {
  const Chunk next{steps.begin + 1, steps.end + 1};  // what arrives is held then
  Exchange& ring = exchange(CollectiveKind::kSendReceive, Meeting::kNeighbours, 2 * steps.count());
  for (int r = 0; r < plan_.num_ranks; ++r) {
    const auto i = static_cast<std::size_t>(r);
    const Index rows = blocks.held(r, next);
    ring.received[i] = key_value_bytes(rows);
    ring.sent[i] = key_value_bytes(blocks.held(r, steps));
    ring.size[i] = key_value_bytes(largest_share(rows, steps.count())) / 2;
  }
  beside_exchange();
}

void PlanBuilder::reduce_over_group(const std::vector<Index>& rows, Index width) {
  if (tensor_parallel_ == 1) return;
  Exchange& reduce = exchange(CollectiveKind::kAllReduce, Meeting::kOwnGroup);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    reduce.size[r] = bytes(rows[r], width);
    // Reduce-scatter and all-gather: each GPU sends and receives all but its own share, twice.
    reduce.received[r] = reduce.sent[r] = 2 * (reduce.size[r] - reduce.size[r] / tensor_parallel_);
  }
  next_step();
}

void PlanBuilder::finish(const std::vector<Index>& rows) {
  const ModelSizes& model = job_.model;
  const Index columns = largest_share(model.intermediate_size, tensor_parallel_);
  const auto each_rank = [&](auto&& work) {
    for (int r = 0; r < plan_.num_ranks; ++r) {
      const Index own_rows = rows[static_cast<std::size_t>(r)];
      if (own_rows > 0) work(r, own_rows, bytes(own_rows, model.hidden_size));
    }
  };
  each_rank([&](int r, Index own_rows, Index /*hidden_bytes*/) {
    gemm(r, Part::kOutput, own_rows, model.hidden_size, own_q_heads() * model.head_dim);
  });
  reduce_over_group(rows, model.hidden_size);
  each_rank([&](int r, Index own_rows, Index hidden_bytes) {
    stream(r, Part::kOthers, 3 * hidden_bytes);  // residual: reads two, writes one
    stream(r, Part::kOthers, 2 * hidden_bytes);  // norm
    gemm(r, Part::kFeedForward, own_rows, 2 * columns, model.hidden_size);  // gate and up
    stream(r, Part::kOthers, 3 * bytes(own_rows, columns));                 // SiLU, product
    gemm(r, Part::kFeedForward, own_rows, model.hidden_size, columns);      // down
  });
  reduce_over_group(rows, model.hidden_size);
  each_rank([&](int r, Index /*own_rows*/, Index hidden_bytes) {
    stream(r, Part::kOthers, 3 * hidden_bytes);  // residual
  });
}

}  // namespace apb::sim
