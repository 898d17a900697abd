// Failures that no known mistake of a mask explains: NaN from padding, places, merges.

#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/diagnosis_cases.hpp"

namespace apb {
namespace {

TEST_CASE("NaN from padding is named", "[verify]") {
  for (const NamedShape& one : shapes()) {
    const CaseFile case_file = make_case(29, one.shape, ValueType::kFloat16);
    CaseRank padded = case_file.ranks.back();
    const Index keys = padded.layout.passing_rows;
    padded.layout.passing_rows += 5;
    for (HeadsTensor<double>* tensor : {&padded.passing_key, &padded.passing_value}) {
      const auto end = std::ssize(tensor->values());
      tensor->resize_rows(padded.layout.passing_rows);
      std::fill(tensor->values().begin() + end, tensor->values().end(), kNan);
    }
    Kernel kernel;
    kernel.compute_type = kernel.out_type = ValueType::kFloat16;
    kernel.hidden = HiddenKeys::kSelected;
    kernel.visible = [keys](Segment q, Index i, Segment k, Index j) {
      return is_visible(q, i, k, j) && !(k == Segment::kPassing && j >= keys);
    };
    CAPTURE(one.name);
    CHECK(first_explanation(
              case_file,
              {kernel.compute_type, kernel.out_type, {run_kernel(kernel, case_file, padded)}, {}})
              .starts_with("NaN or infinity from padding"));
  }
}

TEST_CASE("failures that only have a place are named by it", "[verify]") {
  const CaseFile case_file = make_case(25, shapes()[3].shape, ValueType::kFloat16);
  const CaseRank& rank = case_file.ranks.back();
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kFloat16;
  const CandidateRank right = run_kernel(kernel, case_file, rank);
  const auto with = [&](const std::function<void(Index, double*, double&)>& change) {
    CandidateRank changed = right;
    for (Index row = 0; row < rank.layout.rows(); ++row) {
      change(row, changed.out->view().at(row, 0), (*changed.lse)(row, 0));
    }
    return first_explanation(case_file, {kernel.compute_type, kernel.out_type, {changed}, {}});
  };
  const Index rows = rank.layout.rows();

  CHECK(with([](Index row, double* out, double&) {
          if (row % 64 == 63) out[3] += 1;
        }) == "tile border: exactly the rows with number = 63 modulo 64 fail");
  CHECK(with([&](Index row, double* out, double&) {
          if (row >= rows / 128 * 128 + 1) out[3] += 1;
        }).starts_with("tile border: only rows beyond the last full tile of"));
  CHECK(with([](Index, double* out, double&) {
          out[1] = kNan;
        }).starts_with("NaN or infinity from padding"));
  CHECK(with([&](Index row, double* out, double& lse) {
          if (row >= rows / 32 * 32) out[0] = lse = kNan;
        }).find("beyond the last full tile of") != std::string::npos);
  const std::string unknown = with([](Index row, double* out, double&) {
    if (row == 5 || row == 9 || row == 44) out[3] = -out[3];
  });
  CHECK(unknown.find("unknown pattern") != std::string::npos);
  CHECK(unknown.find("rows 5, 9, 44 (3 of") != std::string::npos);
}

TEST_CASE("a wrong lse of nothing is named", "[verify]") {
  CaseFile case_file = make_case(26, {2, {30, 0}, 0, 0, 0, 2, 1, 4}, ValueType::kFloat32);
  add_decode(case_file, 27, 2);
  case_file.decode->ranks[1].key = case_file.decode->ranks[1].value = HeadsTensor<double>(0, 1, 4);
  case_file.decode->ranks[1].query_keys = 0;
  const auto part = [&](const std::vector<std::size_t>& ranks) {
    return true_attention(decode_setup(*case_file.decode, ranks, case_file.config), count_up(2),
                          count_up(2));
  };
  CandidateFile candidate{ValueType::kFloat32, ValueType::kFloat32, {}, DecodeCase{}};
  candidate.decode->ranks.resize(2);
  candidate.decode->ranks[1].out = part({1}).out;
  candidate.decode->ranks[1].lse = -part({1}).lse;  // +inf
  CHECK(first_explanation(case_file, candidate) ==
        "lse is +inf for rows that see nothing (must be -inf)");
}

/// Partials merged in fp32 with weights exp(lse), which nothing keeps from overflowing.
AttentionRows merged_without_shift(const CaseFile& case_file) {
  const DecodeCase& decode = *case_file.decode;
  const std::vector<Index> rows = count_up(decode.query.rows());
  const std::vector<Index> heads = count_up(case_file.config.num_q_heads);
  AttentionRows merged;
  std::vector<float> out;
  Eigen::MatrixXf sum;
  for (std::size_t part = 0; part < decode.ranks.size(); ++part) {
    merged = true_attention(decode_setup(decode, {part}, case_file.config), rows, heads);
    out.resize(merged.out.values().size(), 0.0F);
    if (part == 0) sum = Eigen::MatrixXf::Zero(merged.lse.rows(), merged.lse.cols());
    const Eigen::MatrixXf weight = merged.lse.cast<float>().array().exp();
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto pair = static_cast<Index>(i) / merged.out.head_dim();
      out[i] += weight(pair / weight.cols(), pair % weight.cols()) *
                static_cast<float>(merged.out.values()[i]);
    }
    sum += weight;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto pair = static_cast<Index>(i) / merged.out.head_dim();
    merged.out.values()[i] = out[i] / sum(pair / sum.cols(), pair % sum.cols());
  }
  merged.lse = sum.array().log().cast<double>();
  return merged;
}

TEST_CASE("a merge without the shift is named, whether it overflows or vanishes", "[verify]") {
  for (const NamedShape& one : shapes()) {
    for (const double sign : {1.0, -1.0}) {
      CAPTURE(one.name, sign);
      CaseFile case_file = make_case(26, one.shape, ValueType::kFloat32);
      add_decode(case_file, 27, 3);
      for (double& value : case_file.decode->query.values()) value = 100;
      for (DecodeRank& rank : case_file.decode->ranks) {
        for (double& value : rank.key.values()) value = sign * std::abs(value);
      }
      std::vector<std::size_t> all;
      for (std::size_t i = 0; i < case_file.decode->ranks.size(); ++i) all.push_back(i);
      const AttentionRows right =
          true_attention(decode_setup(*case_file.decode, all, case_file.config), count_up(3),
                         count_up(one.shape.num_q_heads));
      CandidateFile candidate{ValueType::kFloat32, ValueType::kFloat32, {}, DecodeCase{}};
      candidate.decode->out = right.out;
      candidate.decode->lse = right.lse;
      CHECK(judge(case_file, candidate, {}).pass());
      REQUIRE(sign * right.lse.minCoeff() > 100);
      const AttentionRows wrong = merged_without_shift(case_file);
      candidate.decode->out = wrong.out;
      candidate.decode->lse = wrong.lse;
      CHECK(first_explanation(case_file, candidate).starts_with("merge without the shift"));
    }
  }
}

}  // namespace
}  // namespace apb
