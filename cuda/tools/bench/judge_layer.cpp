#include "cuda/tools/bench/judge_layer.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/tools/bench/host_copies.hpp"
#include "reference/core/case/row_sample.hpp"
#include "reference/verify/failing_rows.hpp"
#include "reference/verify/truth.hpp"

namespace apb::cuda {
namespace {

constexpr std::uint64_t kSeed = 0;

/// What the all-gather's buffer holds of the lower ranks, [rows, heads] as cases have it: half 0
/// the keys, 1 the values.
HeadsTensor<double> host_passing(BlockLayer& layer, Index half) {
  const ApbConfig& config = layer.config();
  const Index heads = config.num_kv_heads, d = config.head_dim;
  HeadsTensor<double> result(layer.layout().passing_rows, heads, d);
  const Index capacity = layer.passing().capacity;
  const Index slice = 2 * heads * capacity * d;
  Index first = 0;
  for (int lower = 0; first < result.rows(); ++lower) {
    const Index count = layer.layouts().ranks[static_cast<std::size_t>(lower)].num_kept;
    for (Index head = 0; head < heads; ++head) {
      const Bfloat16* from =
          layer.passing().gathered.data() + lower * slice + (half * heads + head) * capacity * d;
      const Matrix<double> rows = host_matrix<Bfloat16>(
          DeviceRows<const Bfloat16>::dense(from, count, d), layer.rank().stream.get());
      for (Index row = 0; row < count; ++row) {
        std::copy_n(rows.data() + row * d, d, result.view().at(first + row, head));
      }
    }
    first += count;
  }
  return result;
}

HeadPositions host_positions(const BlockLayer& layer, cudaStream_t stream) {
  const std::vector<Index> all = to_host(layer.kept().positions, stream);
  const Index heads = layer.config().num_kv_heads;
  const Index kept = std::ssize(all) / heads;
  HeadPositions positions;
  for (Index head = 0; head < heads; ++head) {
    const auto first = all.begin() + head * kept;
    positions.emplace_back(first, first + kept);
  }
  return positions;
}

/// Queries, keys and values of the block before RoPE, and the head that scores them.
RetainingCase host_retaining(BlockLayer& layer) {
  const cudaStream_t stream = layer.rank().stream.get();
  const LayerRoom<Bfloat16>& room = layer.room();
  layer.fill_inputs();
  project_qkv(layer.model(), 0, room, layer.rank().products, stream, {});
  const Index columns = layer.model().qkv_columns(), hidden = layer.model().retaining_hidden;
  const DeviceRetainingHead<Bfloat16> head = layer.model().retaining_head(0);
  using Rows = DeviceRows<const Bfloat16>;
  return {host_matrix<Bfloat16>(
              room.qkv_rows().slice(layer.layout().anchor_rows, layer.layout().block_len), stream),
          host_matrix(Rows::dense(head.fc1, hidden, columns), stream),
          host_matrix(Rows::dense(head.fc2, layer.config().num_kv_heads, hidden), stream)};
}

}  // namespace

Judgement judge_layer(BlockLayer& layer, Index rows) {
  const cudaStream_t stream = layer.rank().stream.get();
  const LayerRoom<Bfloat16>& room = layer.room();
  CaseFile problem{.method = std::string(to_string(layer.method())),
                   .config = layer.config(),
                   .value_type = ValueType::kBfloat16,
                   .ranks = {},
                   .decode = {}};
  CaseRank rank;
  rank.rank = layer.rank().communicator.rank();
  rank.layout = layer.layout();
  if (layer.rank().passes()) rank.retaining = host_retaining(layer);
  (void)layer.run([](cudaStream_t /*stream*/) {});
  rank.query = host_heads(room.query(), stream);
  rank.key = host_heads(room.key(), stream);
  rank.value = host_heads(room.value(), stream);
  rank.passing_key = HeadsTensor<double>(0, rank.key.heads(), rank.key.head_dim());
  rank.passing_value = rank.passing_key;

  CandidateRank candidate;
  candidate.rank = rank.rank;
  candidate.out = host_heads(room.out(), stream);
  candidate.lse = host_matrix<float>(
      DeviceRows<const float>::dense(room.lse.data(), room.rows, room.num_q_heads), stream);
  if (layer.rank().passes()) {
    rank.passing_key = host_passing(layer, 0);
    rank.passing_value = host_passing(layer, 1);
    candidate.importance =
        host_matrix<float>(DeviceRows<const float>::dense(layer.kept().importance.data(),
                                                          rank.layout.block_len, room.num_kv_heads),
                           stream);
    rank.importance = *candidate.importance;  // selection is judged on the bits that it had
    candidate.kept_positions = host_positions(layer, stream);
  }
  problem.ranks.push_back(std::move(rank));
  CandidateFile answers;
  answers.compute_type = answers.out_type = ValueType::kBfloat16;
  answers.ranks.push_back(std::move(candidate));
  return judge(
      problem, answers,
      {.rows_of = [rows](const CaseRank& its) { return sample_rows(its.layout, rows, kSeed); },
       .progress = {}});
}

Judgement judge_ring(RingLayer& layer, Index rows) {
  (void)layer.run([](cudaStream_t /*stream*/) {});
  const LayerRoom<Bfloat16>& room = layer.room();
  const Stream stream;
  const Index early = layer.early_rows(layer.rank());
  const HeadsTensor<double> query = host_heads(room.query(), stream.get());
  AttentionSetup setup;
  setup.query = query.view();
  setup.softmax_scale = 1 / std::sqrt(static_cast<double>(room.head_dim));
  const Index group = room.num_q_heads / room.num_kv_heads;
  setup.kv_head = [group](Index head) { return head / group; };
  /// \param visible how many of these keys a row sees
  const auto add = [&](const KeysAndValues<Bfloat16>& keys, Index begin, Index count,
                       std::function<Index(Index)> visible) {
    const auto key = std::make_shared<const HeadsTensor<double>>(
        host_heads(keys.key.slice(begin, count), stream.get()));
    const auto value = std::make_shared<const HeadsTensor<double>>(
        host_heads(keys.value.slice(begin, count), stream.get()));
    setup.keys.push_back({key->view(), value->view(), std::move(visible)});
    setup.owned.insert(setup.owned.end(), {key, value});
  };
  const KeysAndValues<Bfloat16> own{room.key(), room.value()};
  add(own, 0, early, [](Index row) { return row + 1; });
  add(own, early, room.rows - early, [early](Index row) { return row - early + 1; });
  for (int owner = 0; owner < layer.num_ranks(); ++owner) {
    if (owner == layer.rank()) continue;
    const bool before_all = owner < layer.rank();
    const auto late_rows_only = [early](Index row) { return row < early ? 0 : kWhole; };
    const Index its_early = layer.early_rows(owner);
    if (before_all) {
      add(layer.received(owner), 0, its_early, [](Index /*row*/) { return kWhole; });
    } else {
      add(layer.received(owner), 0, its_early, late_rows_only);
      add(layer.received(owner), its_early, layer.late_rows(owner), late_rows_only);
    }
  }
  std::vector<Index> sample;
  for (Index i = 0; i < rows; ++i) sample.push_back(i * (room.rows - 1) / (rows - 1));
  sample.insert(sample.end(), {early - 1, early, early + 1});
  std::sort(sample.begin(), sample.end());
  sample.erase(std::unique(sample.begin(), sample.end()), sample.end());

  const HeadsTensor<double> out = host_heads(room.out(), stream.get());
  const Matrix<double> lse = host_matrix<float>(
      DeviceRows<const float>::dense(layer.lse().data(), room.rows, room.num_q_heads),
      stream.get());
  const std::vector<Index> heads = count_up(room.num_q_heads);
  Judgement judgement;
  judge_attention({.setup = setup,
                   .case_file = nullptr,
                   .rank = nullptr,
                   .precision = {ValueType::kBfloat16, ValueType::kBfloat16},
                   .compute_type = ValueType::kBfloat16},
                  layer.rank(), "ring ", sample, pick(out, sample, heads), pick(lse, sample, heads),
                  judgement);
  return judgement;
}

}  // namespace apb::cuda
