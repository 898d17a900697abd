// Wrong importance and wrong selections are named, and their neighbours are not.

#include <algorithm>
#include <cmath>

#include "reference/attention/selection.hpp"
#include "reference/verify/mistakes/wrong_importance.hpp"
#include "reference/verify/mistakes/wrong_selection.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/diagnosis_cases.hpp"

namespace apb {
namespace {

constexpr Index kGroup = 2;
constexpr Index kQueryRows = 3;
constexpr Index kRows = 40;

CaseFile query_aware_case() {
  CaseShape shape{3, {50, 45, kRows}, 7, kQueryRows, 6, 4, 2, 8};
  shape.compressor = Compressor::kQueryAware;
  return make_case(60, shape, ValueType::kFloat32);
}

/// Mean of q·k over the question's rows and a group's heads, by plain loops. [rows, KV heads]
Matrix<double> mean_scores(const CaseRank& rank) {
  Matrix<double> scores = Matrix<double>::Zero(kRows, 2);
  for (Index j = 0; j < kRows; ++j) {
    for (Index head = 0; head < 2 * kGroup; ++head) {
      for (Index i = 0; i < kQueryRows; ++i) {
        for (Index d = 0; d < 8; ++d) {
          scores(j, head / kGroup) +=
              rank.query.view().at(i, head)[d] *
              rank.key.view().at(rank.layout.anchor_rows + j, head / kGroup)[d] /
              static_cast<double>(kGroup * kQueryRows);
        }
      }
    }
  }
  return scores;
}

/// Max over three rows; `beyond` counts as what lies beyond the edges.
Matrix<double> pooled(const Matrix<double>& scores, double beyond) {
  Matrix<double> result = scores;
  for (Index j = 0; j < scores.rows(); ++j) {
    for (const Index near : {j - 1, j + 1}) {
      for (Index head = 0; head < scores.cols(); ++head) {
        const double other = near < 0 || near == scores.rows() ? beyond : scores(near, head);
        result(j, head) = std::max(result(j, head), other);
      }
    }
  }
  return result;
}

struct ImportanceMutation {
  std::string wanted;  ///< of a neighbour: how no explanation may begin
  Matrix<double> (*make)(const CaseFile&, const Matrix<double>& scores);
};

const std::vector<ImportanceMutation>& wrong_importance() {
  static const std::vector<ImportanceMutation> all{
      {"importance summed over the question's rows, not",
       [](const CaseFile&, const Matrix<double>& s) { return pooled(kQueryRows * s, -kInf); }},
      {"importance summed over a group's query heads",
       [](const CaseFile&, const Matrix<double>& s) { return pooled(kGroup * s, -kInf); }},
      {"importance summed over the question's rows and a group's",
       [](const CaseFile&, const Matrix<double>& s) {
         return pooled(kGroup * kQueryRows * s, -kInf);
       }},
      {"importance scaled by softmax_scale",
       [](const CaseFile& of, const Matrix<double>& s) {
         return pooled(of.config.softmax_scale * s, -kInf);
       }},
      {"importance not pooled", [](const CaseFile&, const Matrix<double>& s) { return s; }},
      {"importance pooled with 0 beyond",
       [](const CaseFile&, const Matrix<double>& s) { return pooled(s, 0); }},
  };
  return all;
}

const std::vector<ImportanceMutation>& importance_neighbours() {
  static const std::vector<ImportanceMutation> all{
      {"importance summed",
       [](const CaseFile&, const Matrix<double>& s) { return pooled(2.5 * s, -kInf); }},
      {"importance scaled",
       [](const CaseFile& of, const Matrix<double>& s) {
         return pooled(of.config.softmax_scale * 1.1 * s, -kInf);
       }},
      {"importance not pooled",  // the mean of three
       [](const CaseFile&, const Matrix<double>& s) {
         Matrix<double> mean = s;
         for (Index j = 1; j + 1 < s.rows(); ++j) {
           mean.row(j) = (s.row(j - 1) + s.row(j) + s.row(j + 1)) / 3;
         }
         return mean;
       }},
      {"importance pooled with 0 beyond",
       [](const CaseFile&, const Matrix<double>& s) { return pooled(s, 1); }},
  };
  return all;
}

/// What is said of an importance of the last rank.
std::string said_of(const CaseFile& case_file, const Matrix<double>& importance) {
  CandidateRank given;
  given.rank = 2;
  given.importance =
      importance.unaryExpr([](double x) { return round_to(ValueType::kFloat32, x); });
  return diagnosis_text(case_file, {ValueType::kFloat32, ValueType::kFloat32, {given}, {}});
}

/// The case's scores, lower by a number that makes the first and last of them negative.
CaseFile with_negative_edges() {
  CaseFile case_file = query_aware_case();
  CaseRank& rank = case_file.ranks[2];
  const Matrix<double> scores = mean_scores(rank);
  for (const Index j : {Index{0}, Index{1}, kRows - 2, kRows - 1}) {
    for (Index head = 0; head < 2; ++head) {
      double* key = rank.key.view().at(rank.layout.anchor_rows + j, head);
      if (scores(j, head) > 0) std::transform(key, key + 8, key, std::negate<>());
    }
  }
  return case_file;
}

TEST_CASE("wrong importance is named, in all KV heads or in one", "[verify]") {
  const CaseFile case_file = with_negative_edges();
  const Matrix<double> scores = mean_scores(case_file.ranks[2]);
  const Matrix<double> right = pooled(scores, -kInf);
  for (const ImportanceMutation& mutation : wrong_importance()) {
    CAPTURE(mutation.wanted);
    Matrix<double> wrong = mutation.make(case_file, scores);
    const std::string everywhere = said_of(case_file, wrong);
    CAPTURE(everywhere);
    CHECK(everywhere.find("\n  " + mutation.wanted) != std::string::npos);
    CHECK(everywhere.find("alone") == std::string::npos);
    wrong.col(0) = right.col(0);
    const std::string in_one = said_of(case_file, wrong);
    CAPTURE(in_one);
    // With 0 at the edges only four elements differ: too few to name in one head alone.
    if (mutation.wanted == "importance pooled with 0 beyond") continue;
    CHECK(in_one.find("\n  " + mutation.wanted) != std::string::npos);
    CHECK(in_one.find("heads 1. It looks like") != std::string::npos);
  }
}

TEST_CASE("neighbours of wrong importance do not go by its names", "[verify]") {
  const CaseFile case_file = with_negative_edges();
  const Matrix<double> scores = mean_scores(case_file.ranks[2]);
  for (const ImportanceMutation& neighbour : importance_neighbours()) {
    CAPTURE(neighbour.wanted);
    const std::string found = said_of(case_file, neighbour.make(case_file, scores));
    CAPTURE(found);
    CHECK(found.find("\n  " + neighbour.wanted) == std::string::npos);
  }
}

TEST_CASE("no known mistake of importance is without one that makes it", "[verify]") {
  for (const ImportanceMistake& mistake : known_importance_mistakes()) {
    CAPTURE(mistake.name);
    CHECK(std::ranges::any_of(wrong_importance(), [&](const ImportanceMutation& mutation) {
      return mistake.name.starts_with(mutation.wanted);
    }));
  }
}

/// What is said of kept positions of the last rank, on an importance with some NaN.
std::string said_of_kept(const CaseFile& case_file, const Matrix<double>& importance,
                         const HeadPositions& kept) {
  CandidateRank given;
  given.rank = 2;
  given.importance = importance;
  given.kept_positions = kept;
  return diagnosis_text(case_file, {ValueType::kFloat32, ValueType::kFloat32, {given}, {}});
}

TEST_CASE("NaN taken as the highest importance is named, in all KV heads or in one", "[verify]") {
  const CaseFile case_file =
      make_case(61, {3, {50, 45, kRows}, 7, 2, 6, 4, 2, 8}, ValueType::kFloat32);
  const CaseRank& rank = case_file.ranks[2];
  Matrix<double> importance = rank.importance;
  for (const Index row : {3, 17, 30}) importance.row(row).setConstant(kNan);
  const HeadPositions right = exact_selection(rank, importance);
  // NaN above all numbers, as torch.topk has it; `nan_value` above only some of them otherwise.
  const auto kept_with = [&](double nan_value) {
    const Matrix<double> replaced =
        importance.unaryExpr([=](double x) { return std::isnan(x) ? nan_value : x; });
    return exact_selection(rank, replaced);
  };
  const std::string name = "\n  NaN is taken as the highest importance";
  HeadPositions wrong = kept_with(1e9);
  CHECK(said_of_kept(case_file, importance, wrong).find(name) != std::string::npos);
  wrong[0] = right[0];
  const std::string in_one = said_of_kept(case_file, importance, wrong);
  CHECK(in_one.find(name + ", not the lowest, in KV heads 1 alone") != std::string::npos);
  // Neighbours: NaN as a middling number, and one of the NaN kept too many.
  std::vector<double> sorted(importance.data(), importance.data() + importance.size());
  std::erase_if(sorted, [](double x) { return std::isnan(x); });
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  CHECK(said_of_kept(case_file, importance, kept_with(sorted[9])).find(name) == std::string::npos);
  wrong = right;
  wrong[0].back() = rank.layout.block_begin + 30;
  std::sort(wrong[0].begin(), wrong[0].end());
  CHECK(said_of_kept(case_file, importance, wrong).find(name) == std::string::npos);
}

}  // namespace
}  // namespace apb
