// A kernel of one's own, judged inside one's own program.
//
//   own_attention CASE     exit status 0: right, 1: wrong, 2: no case file, or not read to its end

#include <cmath>
#include <exception>
#include <iostream>
#include <utility>

#include "reference/core/hdf5/hdf5_guard.hpp"
#include "reference/verify/judge.hpp"

namespace {

using apb::HeadsTensor;
using apb::Index;

/// [anchor, passing, block] of keys or values, from a rank's own rows [anchor, block].
HeadsTensor<double> in_key_order(const HeadsTensor<double>& own, const HeadsTensor<double>& passing,
                                 Index anchor_rows) {
  HeadsTensor<double> all(0, own.heads(), own.head_dim());
  all.append(own.view().slice(0, anchor_rows));
  all.append(passing.view());
  all.append(own.view().slice(anchor_rows, own.rows() - anchor_rows));
  return all;
}

/// The kernel under test, here a plain one in float: yours goes here.
apb::CandidateRank attention(const apb::CaseRank& rank, const apb::ApbConfig& config) {
  const apb::RankLayout& layout = rank.layout;
  const auto key = in_key_order(rank.key, rank.passing_key, layout.anchor_rows);
  const auto value = in_key_order(rank.value, rank.passing_value, layout.anchor_rows);
  const Index group = config.num_q_heads / config.num_kv_heads;
  const auto scale = static_cast<float>(config.softmax_scale);
  HeadsTensor<double> out(layout.rows(), config.num_q_heads, config.head_dim);
  apb::Matrix<double> lse(layout.rows(), config.num_q_heads);
  for (Index row = 0; row < layout.rows(); ++row) {
    // In this order of keys every row sees the first so many.
    const Index passing = row < layout.anchor_rows ? 0 : layout.passing_rows;
    const Index visible = row + 1 + passing;
    for (Index head = 0; head < config.num_q_heads; ++head) {
      const auto q = head_matrix(rank.query.view(), head).row(row).cast<float>();
      const auto k = head_matrix(key.view(), head / group).topRows(visible).cast<float>();
      const auto v = head_matrix(value.view(), head / group).topRows(visible).cast<float>();
      const Eigen::VectorXf scores = scale * (k * q.transpose());
      const float max = scores.maxCoeff();
      const Eigen::VectorXf weights = (scores.array() - max).exp();
      const float sum = weights.sum();
      head_matrix(out.view(), head).row(row) = (weights.transpose() * v / sum).cast<double>();
      lse(row, head) = max + std::log(sum);
    }
  }
  apb::CandidateRank answer;
  answer.rank = rank.rank;
  answer.out = std::move(out);
  answer.lse = std::move(lse);
  return answer;
}

int judge_own_attention(const char* path) {
  apb::check_hdf5_in_child(path);
  const apb::CaseFile case_file = apb::read_case(path);
  apb::CandidateFile candidate;  // computed in float and handed back in float
  for (const apb::CaseRank& rank : case_file.ranks) {
    candidate.ranks.push_back(attention(rank, case_file.config));
  }
  const apb::Judgement judgement = apb::judge(case_file, candidate, {});
  for (const apb::Verdict& verdict : judgement.verdicts) {
    std::cout << "rank " << verdict.rank << ' ' << verdict.quantity << ": error " << verdict.error
              << ", budget " << verdict.budget << (verdict.pass ? ", pass\n" : ", FAIL\n");
  }
  for (const apb::RankDiagnosis& one : judgement.diagnoses) {
    std::cout << "rank " << one.rank << ": " << one.diagnosis.text() << '\n';
  }
  return judgement.pass() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 2) return judge_own_attention(argv[1]);
    std::cerr << "usage: own_attention CASE\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }
  return 2;
}
