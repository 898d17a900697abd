#include "cuda/tools/case_run.hpp"

#include <algorithm>

#include "cuda/attention/three_segments.hpp"
#include "cuda/decode/attend_cache.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/selection/block_scores.hpp"
#include "cuda/selection/pool_importance.hpp"
#include "cuda/selection/select_and_pack.hpp"
#include "cuda/stream.hpp"
#include "reference/core/case/score_query.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

template <class T>
std::vector<T> rounded(std::span<const double> values) {
  std::vector<T> result;
  result.reserve(values.size());
  for (const double value : values) result.emplace_back(static_cast<float>(value));
  return result;
}

/// A tensor of the case on the device.
template <class T>
struct Uploaded {
  DeviceBuffer<T> memory;
  DeviceHeads<T> heads;

  Uploaded(const HeadsTensor<double>& tensor, cudaStream_t stream)
      : memory(to_device(rounded<T>(tensor.values()), stream)),
        heads(DeviceHeads<T>::rows_first(memory.data(), tensor.rows(), tensor.heads(),
                                         tensor.head_dim())) {}
};

/// fp32 [rows, columns] on the device, as the candidate file has it.
Matrix<double> read_matrix(const DeviceBuffer<float>& memory, Index rows, Index columns,
                           cudaStream_t stream) {
  const std::vector<float> values = to_host(memory, stream);
  return Eigen::Map<const Matrix<float>>(values.data(), rows, columns).cast<double>();
}

template <class T>
HeadsTensor<double> read_heads(const DeviceBuffer<T>& memory, Index rows, Index heads,
                               Index head_dim, cudaStream_t stream) {
  HeadsTensor<double> result(rows, heads, head_dim);
  const std::vector<T> values = to_host(memory, stream);
  std::transform(values.begin(), values.end(), result.values().begin(),
                 [](T value) { return static_cast<double>(static_cast<float>(value)); });
  return result;
}

template <class T>
class RankRun {
 public:
  RankRun(const CaseFile& case_file, const CaseRank& rank)
      : case_(case_file),
        rank_(rank),
        layout_(rank.layout),
        query_(rank.query, stream()),
        key_(rank.key, stream()),
        value_(rank.value, stream()) {}

  CandidateRank answer() {
    CandidateRank candidate;
    candidate.rank = rank_.rank;
    if (rank_.importance.size() > 0) select(candidate);
    attend_rows(candidate);
    return candidate;
  }

 private:
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
  [[nodiscard]] KeysAndValues<T> keys(Index begin, Index count) const {
    return {key_.heads.slice(begin, count), value_.heads.slice(begin, count)};
  }

  /// Scores before pooling; none if the case does not hold what they were made from.
  [[nodiscard]] std::optional<DeviceBuffer<float>> scores() {
    const Index heads = case_.config.num_kv_heads;
    DeviceBuffer<float> scores(static_cast<std::size_t>(layout_.block_len * heads));
    if (case_.config.compressor == Compressor::kQueryAware) {
      const auto host = score_query(case_, rank_);
      if (!host) return std::nullopt;
      const Uploaded<T> rows(*host, stream());
      const DeviceBuffer<float> mean(static_cast<std::size_t>(heads * case_.config.head_dim));
      query_aware_scores<T>(rows.heads, keys(layout_.anchor_rows, layout_.block_len).key,
                            mean.data(), scores.data(), stream());
      stream_.synchronize();
      return scores;
    }
    if (case_.config.compressor != Compressor::kRetainingHead || !rank_.retaining) {
      return std::nullopt;
    }
    const auto& [input, fc1, fc2] = *rank_.retaining;
    const auto upload = [&](const Matrix<double>& matrix) {
      return to_device(rounded<T>({matrix.data(), static_cast<std::size_t>(matrix.size())}),
                       stream());
    };
    const DeviceBuffer<T> features = upload(input), first = upload(fc1), second = upload(fc2);
    const DeviceRetainingHead<T> head{first.data(), second.data(), input.cols(),
                                      second.size() == 0 ? 0 : fc1.rows(), heads};
    const DeviceBuffer<float> workspace(
        static_cast<std::size_t>(retaining_workspace_size(head, input.rows())));
    MatrixProducts products;
    retaining_head_scores<T>(
        products, head, DeviceRows<const T>::dense(features.data(), input.rows(), input.cols()),
        workspace.data(), scores.data(), stream());
    stream_.synchronize();
    return scores;
  }

  void select(CandidateRank& candidate) {
    const Index heads = case_.config.num_kv_heads, rows = layout_.block_len;
    const Index excluded = layout_.candidate_begin - layout_.block_begin;
    // The case's importance is exact in fp32, or it would not be a case of this type.
    DeviceBuffer<float> importance =
        to_device(rounded<float>(
                      {rank_.importance.data(), static_cast<std::size_t>(rank_.importance.size())}),
                  stream());
    if (const auto own = scores()) {
      pool_importance<float>(
          {own->data(), importance.data(), rows, heads, case_.config.pool_kernel, excluded},
          stream());
      candidate.importance = read_matrix(importance, rows, heads, stream());
    }
    const Index kept = layout_.num_kept, head_dim = case_.config.head_dim;
    const DeviceBuffer<T> send(static_cast<std::size_t>(2 * heads * kept * head_dim));
    const DeviceBuffer<Index> positions(static_cast<std::size_t>(heads * kept));
    select_and_pack<float, T>(
        {importance.data() + excluded * heads, heads,
         keys(layout_.anchor_rows + excluded, layout_.num_candidates()), layout_.candidate_begin},
        {kept, kept, send.data(), positions.data(), nullptr}, stream());
    const std::vector<Index> all = to_host(positions, stream());
    candidate.kept_positions.emplace();
    for (auto next = all.begin(); next != all.end(); next += kept) {
      candidate.kept_positions->emplace_back(next, next + kept);
      if (kept == 0) break;
    }
    candidate.kept_positions->resize(static_cast<std::size_t>(heads));
  }

  void attend_rows(CandidateRank& candidate) {
    const Index anchor_rows = layout_.anchor_rows, rows = layout_.rows();
    const ApbConfig& config = case_.config;
    const Uploaded<T> passing_key(rank_.passing_key, stream());
    const Uploaded<T> passing_value(rank_.passing_value, stream());
    const std::vector<KeysAndValues<T>> passing{{passing_key.heads, passing_value.heads}};
    const DeviceBuffer<T> out(
        static_cast<std::size_t>(rows * config.num_q_heads * config.head_dim));
    const DeviceBuffer<float> lse(static_cast<std::size_t>(rows * config.num_q_heads));
    const auto results =
        DeviceHeads<T>::rows_first(out.data(), rows, config.num_q_heads, config.head_dim);
    const auto part = [&](Index begin, Index count) {
      return QueryRows<T>{query_.heads.slice(begin, count), results.slice(begin, count),
                          lse.data() + begin * config.num_q_heads};
    };
    attend<T>({.anchor_rows = part(0, anchor_rows),
               .block_rows = part(anchor_rows, layout_.block_len),
               .anchor = keys(0, anchor_rows),
               .block = keys(anchor_rows, layout_.block_len),
               .passing = rank_.passing_key.rows() == 0 ? std::span<const KeysAndValues<T>>()
                                                        : std::span(passing),
               .softmax_scale = config.softmax_scale},
              stream());
    candidate.out = read_heads(out, rows, config.num_q_heads, config.head_dim, stream());
    candidate.lse = read_matrix(lse, rows, config.num_q_heads, stream());
  }

  Stream stream_;
  const CaseFile& case_;
  const CaseRank& rank_;
  const RankLayout& layout_;
  Uploaded<T> query_, key_, value_;
};

/// fp32 out and lse of a partial.
void read_partial(const float* there, const PartialShape& shape, HeadsTensor<double>& out,
                  Matrix<double>& lse, cudaStream_t stream) {
  std::vector<float> values(static_cast<std::size_t>(shape.size()));
  check(cudaMemcpyAsync(values.data(), there, values.size() * sizeof(float), cudaMemcpyDeviceToHost,
                        stream));
  check(cudaStreamSynchronize(stream));
  out = HeadsTensor<double>(shape.rows, shape.num_q_heads, shape.head_dim);
  std::copy_n(values.begin(), shape.out_size(), out.values().begin());
  lse = Eigen::Map<const Matrix<float>>(values.data() + shape.out_size(), shape.rows,
                                        shape.num_q_heads)
            .cast<double>();
}

template <class T>
DecodeCase answer_decode(const CaseFile& case_file) {
  const DecodeCase& its = *case_file.decode;
  const Stream stream;
  const Uploaded<T> query(its.query, stream.get());
  const PartialShape shape{its.query.rows(), its.query.heads(), its.query.head_dim()};
  const Index ranks = std::ssize(its.ranks);
  const DeviceBuffer<float> partials(static_cast<std::size_t>(ranks * shape.size()));
  DecodeCase answer;
  for (Index rank = 0; rank < ranks; ++rank) {
    const DecodeRank& host = its.ranks[static_cast<std::size_t>(rank)];
    const Uploaded<T> key(host.key, stream.get()), value(host.value, stream.get());
    const CacheAttention<T> problem{
        query.heads, {key.heads, value.heads}, case_file.config.softmax_scale, host.query_keys};
    const DeviceBuffer<float> workspace(static_cast<std::size_t>(problem.workspace_size()));
    float* partial = partials.data() + rank * shape.size();
    attend_cache(problem, workspace.data(), partial, stream.get());
    DecodeRank& result = answer.ranks.emplace_back();
    read_partial(partial, shape, result.out, result.lse, stream.get());
  }
  const DeviceBuffer<float> merged(static_cast<std::size_t>(shape.size()));
  merge_partials(partials.data(), ranks, shape, merged.data(), merged.data() + shape.out_size(),
                 stream.get());
  read_partial(merged.data(), shape, answer.out, answer.lse, stream.get());
  // The partials are fp32; what is merged goes on in the model's type.
  for (double& value : answer.out.values()) value = round_to(case_file.value_type, value);
  return answer;
}

template <class T>
CandidateFile answer_in(const CaseFile& case_file) {
  CandidateFile candidate;
  candidate.compute_type = candidate.out_type = case_file.value_type;
  for (const CaseRank& rank : case_file.ranks) {
    candidate.ranks.push_back(RankRun<T>(case_file, rank).answer());
  }
  if (case_file.decode) candidate.decode = answer_decode<T>(case_file);
  return candidate;
}

}  // namespace

CandidateFile answer_case(const std::string& path, const CaseFile& case_file) {
  if (case_file.config.head_dim != 64 && case_file.config.head_dim != 128) {
    throw BadInput(path, "head_dim", case_file.config.head_dim, "64 or 128, for the GPU's kernels");
  }
  switch (case_file.value_type) {
    case ValueType::kBfloat16:
      return answer_in<Bfloat16>(case_file);
    case ValueType::kFloat16:
      return answer_in<Float16>(case_file);
    case ValueType::kFloat32:
    case ValueType::kFloat64:
      break;
  }
  throw BadInput(
      path, "value_dtype", to_string(case_file.value_type),
      "bfloat16 or float16, which the GPU's kernels compute in (apb case --dtype bfloat16)");
}

}  // namespace apb::cuda
