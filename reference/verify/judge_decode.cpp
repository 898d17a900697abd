#include "reference/verify/judge_decode.hpp"

#include <cmath>

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

/// Merged attention as a kernel makes it that does not shift by the largest lse, in fp32.
AttentionRows merge_unshifted(const std::vector<AttentionRows>& parts) {
  AttentionRows merged = parts.front();
  for (Index i = 0; i < merged.lse.rows(); ++i) {
    for (Index h = 0; h < merged.lse.cols(); ++h) {
      Eigen::ArrayXf out = Eigen::ArrayXf::Zero(merged.out.head_dim());
      float sum = 0;
      for (const AttentionRows& part : parts) {
        const float weight = std::exp(static_cast<float>(part.lse(i, h)));
        sum += weight;
        out += weight * head_matrix(part.out.view(), h).row(i).transpose().array().cast<float>();
      }
      head_matrix(merged.out.view(), h).row(i) = (out / sum).matrix().transpose().cast<double>();
      merged.lse(i, h) = std::log(sum);
    }
  }
  return merged;
}

/// The plain mean of the parts: merged without their weights.
AttentionRows merge_unweighted(const std::vector<AttentionRows>& parts) {
  AttentionRows merged = parts.front();
  for (double& value : merged.out.values()) value = 0;
  merged.lse.setZero();
  for (const AttentionRows& part : parts) {
    for (std::size_t i = 0; i < merged.out.values().size(); ++i) {
      merged.out.values()[i] += part.out.values()[i] / static_cast<double>(parts.size());
    }
    merged.lse += part.lse / static_cast<double>(parts.size());
  }
  return merged;
}

/// Whether out, lse or both (those given) equal a wrong merge. Where the wrong merge gives NaN or
/// infinity, so must they.
bool looks_like(const Tensor& out, const Matrix<double>& lse, const AttentionRows& wrong) {
  constexpr double kClose = 1e-2;  // wrong merges are off by far more, or NaN
  for (Index i = 0; i < wrong.lse.rows(); ++i) {
    for (Index h = 0; h < wrong.lse.cols(); ++h) {
      if (lse.rows() > 0 && !(element_error(lse(i, h), wrong.lse(i, h)) <= kClose)) return false;
      if (out.rows() == 0) continue;
      const auto expected = head_matrix(wrong.out.view(), h).row(i);
      const double norm = expected.allFinite() ? expected.norm() : 1;
      const double error =
          row_error(out.view().at(i, h), wrong.out.view().at(i, h), out.head_dim());
      if (!(error <= kClose * norm)) return false;
    }
  }
  return true;
}

void explain_merge(const CaseFile& case_file, const DecodeCase& given, Judgement& judgement) {
  const DecodeCase& decode = *case_file.decode;
  std::vector<AttentionRows> parts;
  for (std::size_t index = 0; index < decode.ranks.size(); ++index) {
    const AttentionSetup setup = decode_setup(decode, {index}, case_file.config);
    parts.push_back(true_attention(setup, count_up(decode.query.rows()),
                                   count_up(case_file.config.num_q_heads)));
  }
  std::vector<Explanation>& explanations = judgement.diagnoses.back().diagnosis.explanations;
  if (looks_like(given.out, given.lse, merge_unshifted(parts))) {
    explanations = {
        {"merge without the shift by the largest lse: exp(lse) overflows or vanishes", 0}};
    judgement.diagnoses.back().diagnosis.error = 0;
  } else if (looks_like(given.out, {}, merge_unweighted(parts))) {
    explanations = {{"merge without weights: the mean of the partials", 0}};
    judgement.diagnoses.back().diagnosis.error = 0;
  }
}

bool has_nothing(const Tensor& out, const Matrix<double>& lse) {
  return out.rows() == 0 && lse.rows() == 0;
}

}  // namespace

void judge_decode(const CaseFile& case_file, const CandidateFile& candidate,
                  const JudgeOptions& options, Judgement& judgement) {
  if (!case_file.decode) return;
  if (!candidate.decode) {
    judgement.not_judged.push_back({kMergedRank, "decode", "not given"});
    return;
  }
  const DecodeCase& decode = *case_file.decode;
  const DecodeCase& given = *candidate.decode;
  if (options.progress) options.progress("decode");
  const std::vector<Index> rows = count_up(decode.query.rows());
  std::vector<std::size_t> all;
  for (std::size_t index = 0; index < decode.ranks.size(); ++index) {
    all.push_back(index);
    if (index >= given.ranks.size()) continue;
    const DecodeRank& part = given.ranks[index];
    if (has_nothing(part.out, part.lse)) continue;
    const AttentionSetup setup = decode_setup(decode, {index}, case_file.config);
    judge_attention({setup, nullptr, nullptr, candidate.precision()}, static_cast<int>(index),
                    "decode partial ", rows, part.out, part.lse, judgement);
  }
  if (given.out.rows() == 0) {
    judgement.not_judged.push_back({kMergedRank, "decode", "merged out not given"});
  }
  if (given.lse.rows() == 0) {
    judgement.not_judged.push_back({kMergedRank, "decode", "merged lse not given"});
  }
  if (has_nothing(given.out, given.lse)) return;
  const AttentionSetup setup = decode_setup(decode, all, case_file.config);
  const std::size_t diagnoses = judgement.diagnoses.size();
  judge_attention({setup, nullptr, nullptr, candidate.precision()}, kMergedRank, "decode merged ",
                  rows, given.out, given.lse, judgement);
  if (judgement.diagnoses.size() > diagnoses) explain_merge(case_file, given, judgement);
  judge_out_type(kMergedRank, "decode merged out", candidate.out_type, given.out, judgement);
}

}  // namespace apb
