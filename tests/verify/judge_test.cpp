// What is judged, what is listed as missing, and the verdicts on importance and selection.

#include "reference/verify/judge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/verify_case.hpp"

namespace apb {
namespace {

CaseFile small_case(Compressor compressor = Compressor::kRandom) {
  CaseShape shape{3, {30, 25, 20}, 7, 2, 6, 4, 2, 8};
  shape.compressor = compressor;
  return make_case(31, shape, ValueType::kBfloat16);
}

CandidateFile selection_of(const CaseFile& case_file, bool with_importance) {
  CandidateFile candidate{ValueType::kBfloat16, ValueType::kBfloat16, {}, {}};
  for (const CaseRank& rank : case_file.ranks) {
    CandidateRank given;
    given.rank = rank.rank;
    given.kept_positions = rank.kept_positions;
    if (with_importance) given.importance = rank.importance;
    candidate.ranks.push_back(given);
  }
  return candidate;
}

const Verdict& verdict_of(const Judgement& judgement, int rank, const std::string& quantity) {
  for (const Verdict& verdict : judgement.verdicts) {
    if (verdict.rank == rank && verdict.quantity == quantity) return verdict;
  }
  throw std::logic_error("no verdict on " + quantity);
}

TEST_CASE("what is absent is listed, and fails only if it is required", "[verify]") {
  const CaseFile case_file = small_case();
  Judgement judgement = judge(case_file, selection_of(case_file, false), {});
  CHECK(judgement.pass());
  CHECK(judgement.verdicts.size() == 3);
  CHECK(judgement.not_judged.size() == 9);  // out, lse and importance of three ranks
  require_quantities(judgement, {"kept_positions"});
  CHECK(judgement.pass());
  require_quantities(judgement, {"out"});
  CHECK(!judgement.pass());
  CHECK_THROWS_AS(require_quantities(judgement, {"output"}), BadInput);
}

TEST_CASE("nothing to judge is bad input", "[verify]") {
  const CaseFile case_file = small_case();
  CHECK_THROWS_AS(judge(case_file, {}, {}), BadInput);
  CandidateFile empty;
  empty.ranks.emplace_back();
  CHECK_THROWS_AS(judge(case_file, empty, {}), BadInput);
  empty.ranks[0].rank = 7;
  empty.ranks[0].lse = Matrix<double>();
  CHECK_THROWS_AS(judge(case_file, empty, {}), BadInput);
}

TEST_CASE("the candidate's own importance decides what it must select", "[verify]") {
  const CaseFile case_file = small_case();
  CandidateFile candidate = selection_of(case_file, true);
  CHECK(judge(case_file, candidate, {}).pass());
  // The first kept token loses its importance: it must not be kept any more.
  const CaseRank& rank = case_file.ranks[1];
  const Index lost = rank.kept_positions[0][0] - rank.layout.block_begin;
  (*candidate.ranks[1].importance)(lost, 0) = -1;
  const Judgement judgement = judge(case_file, candidate, {});
  const Verdict verdict = verdict_of(judgement, 1, "kept_positions");
  CHECK(!verdict.pass);
  CHECK(verdict.error == 2);  // one missing, one too many
  CHECK(!verdict_of(judgement, 1, "importance").pass);
  CHECK(verdict_of(judgement, 2, "importance").pass);
}

TEST_CASE("positions twice, outside, missing or not ascending are counted", "[verify]") {
  const CaseFile case_file = small_case();
  const auto faults_with = [&](const std::function<void(std::vector<Index>&)>& change) {
    CandidateFile candidate = selection_of(case_file, false);
    change((*candidate.ranks[1].kept_positions)[1]);
    return verdict_of(judge(case_file, candidate, {}), 1, "kept_positions").error;
  };
  CHECK(faults_with([](auto& kept) { std::reverse(kept.begin(), kept.end()); }) == 5);
  CHECK(faults_with([](auto& kept) { std::swap(kept[3], kept[4]); }) == 1);
  CHECK(faults_with([](auto& kept) { kept.push_back(kept[0]); }) == 2);
  CHECK(faults_with([](auto& kept) { kept[0] = kept[1]; }) == 2);
  CHECK(faults_with([](auto& kept) { kept[0] = -1; }) == 2);
  CHECK(faults_with([](auto& kept) { kept[0] = 29; }) == 2);  // rank 0's
  CHECK(faults_with([](auto& kept) { kept.clear(); }) == 6);
}

TEST_CASE("wrong selections are named", "[verify]") {
  const CaseFile case_file = small_case();
  const auto explanation = [&](const std::function<void(Index&)>& change) {
    CandidateFile candidate = selection_of(case_file, false);
    for (auto& head : *candidate.ranks[1].kept_positions) {
      for (Index& position : head) change(position);
    }
    const Judgement judgement = judge(case_file, candidate, {});
    REQUIRE(judgement.diagnoses.size() == 1);
    const Diagnosis& diagnosis = judgement.diagnoses[0].diagnosis;
    return diagnosis.explanations.empty() ? "" : diagnosis.explanations[0].mistake;
  };
  CHECK(explanation([](Index& p) { ++p; }).find("one too high") != std::string::npos);
  CHECK(explanation([](Index& p) { --p; }).find("one too low") != std::string::npos);
  CHECK(explanation([](Index& p) { p -= 30; }).find("block's first token") != std::string::npos);
  CHECK(explanation([](Index& p) { p = p % 2 + 40; }).empty());
  CandidateFile backwards = selection_of(case_file, false);
  for (auto& head : *backwards.ranks[1].kept_positions) std::reverse(head.begin(), head.end());
  const auto named = judge(case_file, backwards, {}).diagnoses.at(0).diagnosis.explanations;
  CHECK(named.at(0).mistake.find("do not ascend") != std::string::npos);
}

TEST_CASE("importance of query_aware is judged by its budget", "[verify]") {
  const CaseFile case_file = small_case(Compressor::kQueryAware);
  CandidateFile candidate{ValueType::kFloat32, ValueType::kFloat32, {}, {}};
  // The scores by a plain double loop over the anchor's query rows, pooled by 3.
  const CaseRank& rank = case_file.ranks[2];
  Matrix<double> scores = Matrix<double>::Zero(20, 2);
  for (Index j = 0; j < 20; ++j) {
    for (Index head = 0; head < 4; ++head) {
      for (Index i = 0; i < 2; ++i) {
        for (Index d = 0; d < 8; ++d) {
          scores(j, head / 2) +=
              rank.query.view().at(i, head)[d] * rank.key.view().at(9 + j, head / 2)[d] / 4;
        }
      }
    }
  }
  CandidateRank given;
  given.rank = 2;
  given.importance = Matrix<double>(20, 2);
  for (Index j = 0; j < 20; ++j) {
    for (Index head = 0; head < 2; ++head) {
      double most = scores(j, head);
      for (const Index near : {std::max(j - 1, Index{0}), std::min(j + 1, Index{19})}) {
        most = std::max(most, scores(near, head));
      }
      (*given.importance)(j, head) = round_to(ValueType::kFloat32, most);
    }
  }
  candidate.ranks = {given};
  const Verdict right = verdict_of(judge(case_file, candidate, {}), 2, "importance");
  CHECK(right.pass);
  const auto fails_with = [&](double factor, double value) {
    CandidateFile wrong = candidate;
    double& element = (*wrong.ranks[0].importance)(4, 1);
    element = element * factor + value;
    const Verdict verdict = verdict_of(judge(case_file, wrong, {}), 2, "importance");
    return !verdict.pass && verdict.worst.row == 9 + 4 && verdict.worst.head == 1;
  };
  CHECK(fails_with(1, 1e-3));
  CHECK(fails_with(-1, 0));
  CHECK(fails_with(1, kNan));
  CHECK(fails_with(1, std::numeric_limits<double>::infinity()));
  CHECK(fails_with(0.125, 0));
}

/// Pooled scores of a retaining head by plain loops; the hidden layer rounded to a type.
Matrix<double> retaining_importance(const RetainingCase& retaining, ValueType type, bool silu) {
  const Index rows = retaining.input.rows();
  Matrix<double> scores = Matrix<double>::Zero(rows, retaining.fc2.rows());
  for (Index j = 0; j < rows; ++j) {
    for (Index unit = 0; unit < retaining.fc1.rows(); ++unit) {
      double hidden = 0;
      for (Index i = 0; i < retaining.fc1.cols(); ++i) {
        hidden += retaining.fc1(unit, i) * retaining.input(j, i);
      }
      if (silu) hidden /= 1 + std::exp(-hidden);
      hidden = round_to(type, hidden);
      for (Index head = 0; head < scores.cols(); ++head) {
        scores(j, head) += retaining.fc2(head, unit) * hidden;
      }
    }
  }
  Matrix<double> pooled = scores;
  for (Index j = 0; j < rows; ++j) {
    for (const Index near : {std::max(j - 1, Index{0}), std::min(j + 1, rows - 1)}) {
      pooled.row(j) = pooled.row(j).cwiseMax(scores.row(near));
    }
  }
  return pooled.unaryExpr([&](double value) { return round_to(type, value); });
}

TEST_CASE("importance of retaining heads is judged by its budget", "[verify]") {
  CaseFile case_file = small_case();
  case_file.config.compressor = Compressor::kRetainingHead;
  CandidateRank given;
  given.rank = 2;
  given.importance = case_file.ranks[2].importance;
  given.kept_positions = case_file.ranks[2].kept_positions;
  const auto judged = [&](ValueType type) {
    return judge(case_file, {type, type, {given}, {}}, {});
  };
  const Judgement blind = judged(ValueType::kFloat32);
  CHECK(std::ranges::any_of(blind.not_judged, [](const NotJudged& missing) {
    return missing.why == "the case holds no retaining_input";
  }));

  RandomTensors random(32);
  const auto matrix = [&](Index rows, Index columns) {
    const auto heads = random.heads<double>(rows, 1, columns);
    return Matrix<double>(head_matrix(heads.view(), 0));
  };
  const RetainingCase retaining{matrix(20, 64), matrix(5, 64), matrix(2, 5)};
  case_file.ranks[2].retaining = retaining;
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    given.importance = retaining_importance(retaining, type, true);
    CHECK(verdict_of(judged(type), 2, "importance").pass);
    given.importance = retaining_importance(retaining, type, false);
    CHECK_FALSE(verdict_of(judged(type), 2, "importance").pass);
  }
  given.importance = retaining_importance(retaining, ValueType::kFloat32, true);
  (*given.importance)(4, 1) += 1e-2;
  CHECK_FALSE(verdict_of(judged(ValueType::kFloat32), 2, "importance").pass);
}

TEST_CASE("importance may be rounded to the case's precision, and no further", "[verify]") {
  CaseFile case_file = small_case(Compressor::kRandom);  // bfloat16
  case_file.config.compressor = Compressor::kRetainingHead;
  RandomTensors random(33);
  const auto matrix = [&](Index rows, Index columns) {
    const auto heads = random.heads<double>(rows, 1, columns);
    return Matrix<double>(head_matrix(heads.view(), 0));
  };
  case_file.ranks[2].retaining = {matrix(20, 64), matrix(5, 64), matrix(2, 5)};
  const Matrix<double> exact =
      retaining_importance(*case_file.ranks[2].retaining, ValueType::kFloat64, true);
  const auto passes = [&](const std::function<double(double)>& of) {
    CandidateRank given;
    given.rank = 2;
    given.importance = exact.unaryExpr(of);
    const CandidateFile candidate{ValueType::kFloat32, ValueType::kFloat32, {given}, {}};
    return verdict_of(judge(case_file, candidate, {}), 2, "importance").pass;
  };
  const auto stored = [](double x) { return round_to(ValueType::kBfloat16, x); };
  CHECK(passes([](double x) { return x; }));
  CHECK(passes(stored));
  // A float32 kernel that is as far off as bfloat16 rounds, on either side, and bfloat16 rounded
  // the wrong way.
  CHECK_FALSE(passes([&](double x) { return x + 0.9 * (stored(x) - x); }));
  CHECK_FALSE(passes([](double x) { return x * (1 + 0x1p-10); }));
  CHECK_FALSE(passes([&](double x) { return stored(x * (1 + 0x1p-7)); }));
  CHECK_FALSE(passes([](double x) { return round_to(ValueType::kFloat16, x * (1 + 0x1p-9)); }));
  // What overflows in the format that it is stored in is infinite there.
  case_file.value_type = ValueType::kFloat16;
  case_file.ranks[2].retaining->fc2 *= 1e7;
  const auto huge = [](double x) { return round_to(ValueType::kFloat16, 1e7 * x); };
  CHECK(passes(huge));
  CHECK_FALSE(passes([&](double x) { return -huge(x); }));
}

TEST_CASE("what was judged is counted: ranks, and rows of them", "[verify]") {
  const CaseFile case_file = small_case();
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
  CandidateFile candidate = run_kernel(kernel, case_file);
  Coverage coverage = judge(case_file, candidate, {}).coverage;
  CHECK(coverage.ranks == std::vector<int>{0, 1, 2});
  CHECK(coverage.ranks_of_case == 3);
  CHECK(coverage.rows == 30 + (9 + 25) + (9 + 20));
  CHECK(coverage.rows_of_ranks == coverage.rows);

  candidate.ranks.erase(candidate.ranks.begin() + 1);
  JudgeOptions options;
  options.rows_of = [](const CaseRank&) { return std::vector<Index>{5, 8}; };
  coverage = judge(case_file, candidate, options).coverage;
  CHECK(coverage.ranks == std::vector<int>{0, 2});
  CHECK(coverage.rows == 4);
  CHECK(coverage.rows_of_ranks == 30 + 29);

  coverage = judge(case_file, selection_of(case_file, false), options).coverage;
  CHECK(coverage.ranks == std::vector<int>{0, 1, 2});
  CHECK(coverage.rows_of_ranks == 0);
  CHECK_FALSE(coverage.decode);
}

TEST_CASE("a candidate of some rows in any order is judged on these", "[verify]") {
  const CaseFile case_file = small_case();
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
  const CandidateRank whole = run_kernel(kernel, case_file, case_file.ranks[1]);
  const std::vector<Index> rows{33, 0, 8, 9};
  CandidateRank some;
  some.rank = 1;
  some.row_index = rows;
  some.out = HeadsTensor<double>(0, 4, 8);
  for (const Index row : rows) some.out->append(std::as_const(*whole.out).view().slice(row, 1));
  CandidateFile candidate{kernel.compute_type, kernel.out_type, {some}, {}};
  Judgement sampled = judge(case_file, candidate, {});
  CHECK(sampled.pass());
  require_quantities(sampled, {"out"});  // is there with all of its rows only
  CHECK(!sampled.pass());
  JudgeOptions options;
  options.rows_of = [](const CaseRank&) { return std::vector<Index>{8, 33}; };
  sampled = judge(case_file, candidate, options);
  const auto of_rank_1 = [](const NotJudged& one) {
    return one.rank == 1 && one.quantity == "out";
  };
  CHECK(std::ranges::none_of(sampled.not_judged, of_rank_1));  // all of the sample
  CHECK(sampled.pass());
  CHECK(sampled.without_lse());
  candidate.ranks[0].out->view().at(1, 2)[3] += 0.5;   // row 0
  CHECK(judge(case_file, candidate, options).pass());  // not among those that are judged
  const Judgement judgement = judge(case_file, candidate, {});
  CHECK(!judgement.pass());
  CHECK(verdict_of(judgement, 1, "out worst row").worst.row == 0);
  CHECK(verdict_of(judgement, 1, "out worst row").worst.head == 2);
  CHECK(verdict_of(judgement, 1, "out worst row").worst.element == 3);
  options.rows_of = [](const CaseRank&) { return std::vector<Index>{5}; };
  CHECK_THROWS_AS(judge(case_file, candidate, options), BadInput);
}

TEST_CASE("a required query pass must be in the case and whole", "[verify]") {
  CaseFile case_file = small_case();
  Judgement judgement = judge(case_file, selection_of(case_file, false), {});
  require_quantities(judgement, {"decode"});
  CHECK(!judgement.pass());  // the case holds none

  add_decode(case_file, 6, 3);
  CandidateFile candidate{ValueType::kFloat32, ValueType::kFloat32, {}, DecodeCase{}};
  const auto merged = true_attention(decode_setup(*case_file.decode, {0, 1, 2}, case_file.config),
                                     count_up(3), count_up(case_file.config.num_q_heads));
  candidate.decode->out = merged.out;
  for (double& value : candidate.decode->out.values()) {
    value = round_to(ValueType::kFloat32, value);
  }
  judgement = judge(case_file, candidate, {});
  CHECK(judgement.pass());
  CHECK(judgement.without_lse());
  require_quantities(judgement, {"decode"});
  CHECK(!judgement.pass());  // merged lse
  candidate.decode->lse = merged.lse;
  judgement = judge(case_file, candidate, {});
  require_quantities(judgement, {"decode"});
  CHECK(judgement.pass());
  CHECK_FALSE(judgement.without_lse());
}

CandidateFile candidate_of(const CaseFile& case_file, ValueType type) {
  Kernel kernel;
  kernel.compute_type = kernel.out_type = type;
  return run_kernel(kernel, case_file);
}

TEST_CASE("out must be what out_dtype says", "[verify]") {
  const CaseFile case_file = small_case();
  CandidateFile candidate = candidate_of(case_file, ValueType::kBfloat16);
  CHECK(judge(case_file, candidate, {}).pass());
  candidate.ranks[1].out->view().at(3, 1)[2] *= 1 + 0x1p-9;
  candidate.ranks[1].out->view().at(4, 0)[0] = kNan;  // of every type
  const Verdict verdict = verdict_of(judge(case_file, candidate, {}), 1, "out dtype");
  CHECK(!verdict.pass);
  CHECK(verdict.error == 1);
}

TEST_CASE("a type of P and an accuracy of exp enter the budget, and are said", "[verify]") {
  const CaseFile case_file = small_case();
  Kernel kernel;
  kernel.compute_type = ValueType::kBfloat16;
  CandidateFile candidate = run_kernel(kernel, case_file);
  CHECK(judge(case_file, candidate, {}).declared.empty());
  CHECK(judge(case_file, candidate, {}).pass());
  const double with_p = verdict_of(judge(case_file, candidate, {}), 1, "out worst row").budget;
  candidate.p_type = ValueType::kFloat32;
  CHECK(!judge(case_file, candidate, {}).pass());
  candidate.p_type = ValueType::kFloat16;
  candidate.exp_accuracy = 9e-5;
  const Judgement judgement = judge(case_file, candidate, {});
  CHECK(judgement.declared == "P in float16, exp within 9e-05");
  CHECK(verdict_of(judgement, 1, "out worst row").budget < with_p);
  CHECK(verdict_of(judgement, 1, "lse").budget > 9e-5);
}

TEST_CASE("a kernel that rounds its inputs is told which case it answers", "[verify]") {
  const CaseShape shape{2, {30, 25}, 7, 2, 6, 4, 2, 8};
  const CaseFile case_file = make_case(31, shape, ValueType::kFloat32);
  CaseFile rounded = case_file;
  for (CaseRank& rank : rounded.ranks) {
    for (auto* tensor :
         {&rank.query, &rank.key, &rank.value, &rank.passing_key, &rank.passing_value}) {
      for (double& value : tensor->values()) value = round_to(ValueType::kBfloat16, value);
    }
  }
  Judgement judgement = judge(case_file, candidate_of(rounded, ValueType::kBfloat16), {});
  CHECK(!judgement.pass());
  CHECK(judgement.mismatch.find("--dtype bfloat16") != std::string::npos);
  const auto& explanations = judgement.diagnoses.at(0).diagnosis.explanations;
  CHECK(explanations.at(0).mistake.find("inputs rounded to bfloat16") != std::string::npos);
  CHECK(judge(rounded, candidate_of(rounded, ValueType::kFloat32), {}).mismatch.empty());
}

TEST_CASE("an output that is cut off is named", "[verify]") {
  const CaseFile case_file = make_case(32, {2, {60, 70}, 0, 0, 0, 4, 2, 16}, ValueType::kBfloat16);
  Kernel kernel;  // P in fp32: only the output rounds
  CandidateFile candidate = run_kernel(kernel, case_file);
  candidate.out_type = ValueType::kBfloat16;
  for (double& value : candidate.ranks[1].out->values()) {
    const double near = round_to(ValueType::kBfloat16, value);
    const double place = std::copysign(2 * half_place(ValueType::kBfloat16, value), value);
    value = std::abs(near) <= std::abs(value) ? near : near - place;
  }
  candidate.ranks.erase(candidate.ranks.begin());
  const Judgement judgement = judge(case_file, candidate, {});
  CHECK(!verdict_of(judgement, 1, "out bias").pass);
  CHECK(verdict_of(judgement, 1, "out worst row").pass);
  const auto& explanations = judgement.diagnoses.at(0).diagnosis.explanations;
  CHECK(explanations.at(0).mistake.find("cut off towards zero") != std::string::npos);
}

}  // namespace
}  // namespace apb
