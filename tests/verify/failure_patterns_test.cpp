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
  CHECK(with([&](Index row, double* out, double&) {
          if (row >= rank.layout.anchor_rows) out[1] = kNan;
        }).starts_with("NaN or infinity from padding"));
  // Padding is read by all rows that see the segment's end, not by some of them.
  CHECK(with([](Index row, double* out, double&) {
          if (row == 60 || row == 71) out[1] = kNan;
        }).find("padding") == std::string::npos);
  CHECK(with([&](Index row, double* out, double& lse) {
          if (row >= rows / 32 * 32) out[0] = lse = kNan;
        }).find("beyond the last full tile of") != std::string::npos);
  const std::string unknown = with([](Index row, double* out, double&) {
    if (row == 5 || row == 9 || row == 44) out[3] = -out[3];
  });
  CHECK(unknown.find("unknown pattern") != std::string::npos);
  CHECK(unknown.find("rows 5, 9, 44 (3 of") != std::string::npos);
}

/// What is said of a right bfloat16 result of the last rank of a case after a change of it.
struct Changed {
  const CaseFile& case_file;
  CandidateRank right;

  explicit Changed(const CaseFile& of) : case_file(of) {
    Kernel kernel;
    kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
    right = run_kernel(kernel, of, of.ranks.back());
  }
  /// \param change of one row and head: its out, its lse
  [[nodiscard]] std::string said(
      const std::function<void(Index row, Index head, double* out, double& lse)>& change,
      bool with_lse = true) const {
    CandidateRank changed = right;
    for (Index row = 0; row < changed.lse->rows(); ++row) {
      for (Index head = 0; head < changed.lse->cols(); ++head) {
        change(row, head, changed.out->view().at(row, head), (*changed.lse)(row, head));
      }
    }
    if (!with_lse) changed.lse.reset();
    return diagnosis_text(case_file, {ValueType::kBfloat16, ValueType::kBfloat16, {changed}, {}});
  }
};

TEST_CASE("one bad element is called that, and two are not", "[verify]") {
  const CaseFile case_file = make_case(50, shapes()[0].shape, ValueType::kBfloat16);
  const Changed changed(case_file);
  for (const double bad : {kNan, kInf, -kInf, 3.0}) {
    const auto spoil = [&](Index count) {
      return [bad, count](Index row, Index head, double* out, double&) {
        if (row == 20 && head == 4) std::fill_n(out + 5, count, bad);
      };
    };
    CAPTURE(bad);
    for (const bool with_lse : {true, false}) {
      const std::string text = changed.said(spoil(1), with_lse);
      CAPTURE(text);
      CHECK(text.find("\n  one bad element: ") != std::string::npos);
      CHECK(text.find("at row 20 head 4 element 5 of out") != std::string::npos);
      CHECK(text.find("wrong in rows 20 (1 of 84 judged") != std::string::npos);
    }
    CHECK(changed.said(spoil(2)).find("one bad element") == std::string::npos);
  }
  const std::string of_lse = changed.said([](Index row, Index head, double*, double& lse) {
    if (row == 20 && head == 4) lse = kNan;
  });
  CHECK(of_lse.find("one bad value: lse is NaN at row 20 head 4") != std::string::npos);
}

TEST_CASE("each quantity has rows and heads of its own", "[verify]") {
  const CaseFile case_file = make_case(51, shapes()[0].shape, ValueType::kBfloat16);
  const std::string text =
      Changed(case_file).said([](Index row, Index head, double* out, double& lse) {
        if (row == 7 && head == 1) out[0] += 1;
        if (row == 9 && head == 2) lse += 1;
      });
  CAPTURE(text);
  CHECK(
      text.starts_with("out wrong in rows 7 (1 of 84 judged, all in the anchor), heads 1; "
                       "lse wrong in rows 9 (1 of 84 judged, all in the anchor), heads 2"));
}

TEST_CASE("rows never written are named, whatever they were filled with", "[verify]") {
  const CaseFile case_file = make_case(52, shapes()[0].shape, ValueType::kBfloat16);
  const Changed changed(case_file);
  const auto fill = [&](double out_value, double lse_value) {
    return changed.said([=](Index row, Index, double* out, double& lse) {
      if (row < 40 || row >= 47) return;
      std::fill_n(out, 16, out_value);
      lse = lse_value;
    });
  };
  for (const double value : {0.0, kNan, 7.0}) {
    CAPTURE(value);
    CHECK(fill(value, value).find("\n  rows never written: every element of out is") !=
          std::string::npos);
  }
  CHECK(fill(0, -kInf).find("\n  rows taken as seeing nothing") != std::string::npos);
  // Its neighbour: a row that is written, if wrongly.
  CHECK(changed
            .said([](Index row, Index, double* out, double&) {
              if (row >= 40 && row < 47) std::fill_n(out, 8, 0.0);
            })
            .find("never written") == std::string::npos);
  CHECK(changed
            .said([](Index row, Index, double*, double& lse) {
              if (row >= 40 && row < 47) lse = -kInf;
            })
            .find("\n  lse is -inf where keys are seen, though out is right") != std::string::npos);
}

/// A case with scores of up to some hundred, or, for float16, with dot products beyond 65,504.
CaseFile large_scores(double spread) {
  CaseShape shape = shapes()[0].shape;
  shape.spread = spread;
  return make_case(53, shape, ValueType::kBfloat16);
}

double largest_score(const CaseFile& case_file, Index row, Index head, double& sum) {
  const CaseRank& rank = case_file.ranks.back();
  const Index anchor = rank.layout.anchor_rows;
  const Index kv_head = head / case_file.config.group_size();
  double most = -kInf;
  sum = 0;
  const auto add = [&](const double* key) {
    double score = 0;
    for (Index d = 0; d < 16; ++d) score += rank.query.view().at(row, head)[d] * key[d];
    most = std::max(most, score);
    sum += std::exp(static_cast<float>(score * case_file.config.softmax_scale));
  };
  for (Index j = row < anchor ? 0 : anchor; j <= row; ++j) add(rank.key.view().at(j, kv_head));
  for (Index j = 0; row >= anchor && j < anchor; ++j) add(rank.key.view().at(j, kv_head));
  for (Index j = 0; row >= anchor && j < rank.layout.passing_rows; ++j) {
    add(rank.passing_key.view().at(j, kv_head));
  }
  return most;
}

TEST_CASE("q·k beyond float16 and a softmax without its maximum are told apart", "[verify]") {
  const auto said = [](const CaseFile& case_file, const auto& is_broken) {
    int broken = 0;
    int others = 0;
    const std::string text =
        Changed(case_file).said([&](Index row, Index head, double* out, double& lse) {
          double sum = 0;
          const double most = largest_score(case_file, row, head, sum);
          ++(is_broken(most, sum) ? broken : others);
          if (is_broken(most, sum)) std::fill_n(out, 16, lse = kNan);
        });
    REQUIRE((broken > 10 && others > 10));
    return text;
  };
  const std::string half = "q·k overflows in float16";
  const std::string no_maximum = "softmax without the maximum: exp of a score overflows in float32";
  const std::string text_half =
      said(large_scores(150), [](double most, double) { return most > 65504; });
  CAPTURE(text_half);
  CHECK(text_half.find("\n  " + half) != std::string::npos);
  CHECK(text_half.find("softmax without") == std::string::npos);
  CHECK(text_half.find("padding") == std::string::npos);
  const std::string text_maximum =
      said(large_scores(10), [](double, double sum) { return sum > 3.4e38; });
  CAPTURE(text_maximum);
  CHECK(text_maximum.find("\n  " + no_maximum) != std::string::npos);
  CHECK(text_maximum.find("float16") == std::string::npos);
  CHECK(text_maximum.find("padding") == std::string::npos);
  // Their neighbour: other rows of the same case.
  const std::string other =
      Changed(large_scores(10)).said([](Index row, Index, double* out, double& lse) {
        if (row % 3 == 1 && row < 50) std::fill_n(out, 3, lse = kNan);
      });
  CHECK(other.find("unknown pattern") != std::string::npos);
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
