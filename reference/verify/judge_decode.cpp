#include "reference/verify/judge_decode.hpp"

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

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
    judge_attention({setup, &case_file, nullptr, candidate.precision()}, static_cast<int>(index),
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
  judge_attention({setup, &case_file, nullptr, candidate.precision()}, kMergedRank,
                  "decode merged ", rows, given.out, given.lse, judgement);
  judge_out_type(kMergedRank, "decode merged out", candidate.out_type, given.out, judgement);
}

}  // namespace apb
