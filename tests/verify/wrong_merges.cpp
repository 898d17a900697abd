#include "tests/verify/wrong_merges.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace apb {
namespace {

constexpr double kNothingSeen = std::numeric_limits<double>::infinity();

/// Attention of one row and head to some keys. The query's own keys are the last ones.
Part attend(const CaseFile& case_file, const DecodeRank& rank, Index row, Index head) {
  const ApbConfig& config = case_file.config;
  const double* query = case_file.decode->query.view().at(row, head);
  const Index kv_head = head / config.group_size();
  const Index document = rank.key.rows() - rank.query_keys;
  const Index seen = rank.query_keys > 0 ? document + row + 1 : document;
  Part part{std::vector<double>(static_cast<std::size_t>(config.head_dim), 0), -kNothingSeen, seen};
  double sum = 0;
  for (Index j = 0; j < seen; ++j) {
    double score = 0;
    for (Index d = 0; d < config.head_dim; ++d)
      score += query[d] * rank.key.view().at(j, kv_head)[d];
    const double weight = std::exp(config.softmax_scale * score);
    sum += weight;
    for (std::size_t d = 0; d < part.out.size(); ++d) {
      part.out[d] += weight * rank.value.view().at(j, kv_head)[d];
    }
  }
  if (seen == 0) return part;
  for (double& value : part.out) value /= sum;
  part.lse = std::log(sum);
  return part;
}

/// The parts weighed by exp(lse - shift), over their sum.
Part weighed(const std::vector<Part>& parts, const std::function<double(const Part&)>& weight_of) {
  Part whole{std::vector<double>(parts.front().out.size(), 0), 0, 0};
  double sum = 0;
  for (const Part& part : parts) {
    const double weight = weight_of(part);
    sum += weight;
    for (std::size_t d = 0; d < whole.out.size(); ++d) whole.out[d] += weight * part.out[d];
  }
  for (double& value : whole.out) value /= sum;
  whole.lse = std::log(sum);
  return whole;
}

std::vector<Part> without(std::vector<Part> parts, std::size_t rank) {
  parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(rank));
  return parts;
}

std::vector<Part> with_empty_lse(std::vector<Part> parts, double lse) {
  for (Part& part : parts) {
    if (part.keys == 0) part.lse = lse;
  }
  return parts;
}

Part rounded(Part part, const std::function<double(double)>& lse_of,
             const std::function<double(double)>& out_of) {
  part.lse = lse_of(part.lse);
  for (double& value : part.out) value = out_of(value);
  return part;
}

MergeParts rounding(const std::function<double(double)>& lse_of,
                    const std::function<double(double)>& out_of) {
  return [=](std::vector<Part> parts) {
    for (Part& part : parts) part = rounded(part, lse_of, out_of);
    return merge_rightly(parts);
  };
}

double bf16(double value) {
  return round_to(ValueType::kBfloat16, value);
}
double fp16(double value) {
  return round_to(ValueType::kFloat16, value);
}
double same(double value) {
  return value;
}

Part step_by_step(const std::vector<Part>& parts) {
  Part whole = rounded(parts.front(), bf16, bf16);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    whole = rounded(merge_rightly({whole, rounded(parts[i], bf16, bf16)}), bf16, bf16);
  }
  return whole;
}

Part mean_of_parts(const std::vector<Part>& parts) {
  Part mean = weighed(parts, [](const Part&) { return 1.0; });
  mean.lse = merge_rightly(parts).lse;
  return mean;
}

Part by_number_of_keys(const std::vector<Part>& parts) {
  Part mean = weighed(parts, [](const Part& part) { return static_cast<double>(part.keys); });
  mean.lse = merge_rightly(parts).lse;
  return mean;
}

}  // namespace

Part merge_rightly(const std::vector<Part>& parts) {
  double most = -kNothingSeen;
  for (const Part& part : parts) most = std::max(most, part.lse);
  Part whole = weighed(parts, [&](const Part& part) { return std::exp(part.lse - most); });
  whole.lse += most;
  return whole;
}

const std::vector<MergeMutation>& wrong_merges() {
  static const std::vector<MergeMutation> all{
      {"a rank is missing from the merge: rank 0 of 3",
       [](const auto& parts) { return merge_rightly(without(parts, 0)); }},
      {"a rank is missing from the merge: rank 2 of 3",
       [](const auto& parts) { return merge_rightly(without(parts, 2)); }},
      {"an empty part of the merge counts with lse 0",
       [](const auto& parts) { return merge_rightly(with_empty_lse(parts, 0)); }},
      {"merge without weights", mean_of_parts},
      {"merge in low precision: partial lse in bfloat16", rounding(bf16, same)},
      {"merge in low precision: partial lse in float16", rounding(fp16, same)},
      {"merge in low precision: partial lse and out in bfloat16", rounding(bf16, bf16)},
      {"merge in low precision: every intermediate lse and out in bfloat16", step_by_step},
  };
  return all;
}

const std::vector<MergeMutation>& merge_neighbours() {
  static const std::vector<MergeMutation> all{
      {"a rank is missing from the merge",
       [](std::vector<Part> parts) {  // one counts twice
         parts.push_back(parts.front());
         return merge_rightly(parts);
       }},
      {"an empty part of the merge counts with lse 0",
       [](const auto& parts) { return merge_rightly(with_empty_lse(parts, 1)); }},
      {"merge without weights", by_number_of_keys},
      {"merge without the shift",
       [](const auto& parts) {  // not divided by the sum
         Part whole = merge_rightly(parts);
         for (double& value : whole.out) value *= std::exp(whole.lse);
         return whole;
       }},
      {"merge in low precision",
       rounding([](double lse) { return std::round(4 * lse) / 4; }, same)},
  };
  return all;
}

CaseFile case_to_merge(std::uint64_t seed, ValueType type) {
  CaseFile case_file = make_case(seed, {3, {40, 0, 33}, 0, 0, 0, 4, 2, 16}, type);
  add_decode(case_file, seed + 1, 3);
  return case_file;
}

CandidateFile merged_by(const MergeParts& merge, const CaseFile& case_file, ValueType type) {
  const ApbConfig& config = case_file.config;
  const DecodeCase& decode = *case_file.decode;
  CandidateFile candidate{type, type, {}, DecodeCase{}};
  candidate.decode->out =
      HeadsTensor<double>(decode.query.rows(), config.num_q_heads, config.head_dim);
  candidate.decode->lse.resize(decode.query.rows(), config.num_q_heads);
  for (Index row = 0; row < decode.query.rows(); ++row) {
    for (Index head = 0; head < config.num_q_heads; ++head) {
      std::vector<Part> parts;
      for (const DecodeRank& rank : decode.ranks)
        parts.push_back(attend(case_file, rank, row, head));
      const Part whole = merge(parts);
      for (std::size_t d = 0; d < whole.out.size(); ++d) {
        candidate.decode->out.view().at(row, head)[d] = round_to(type, whole.out[d]);
      }
      candidate.decode->lse(row, head) = round_to(ValueType::kFloat32, whole.lse);
    }
  }
  return candidate;
}

}  // namespace apb
