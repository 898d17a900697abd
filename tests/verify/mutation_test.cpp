// Every known mistake is made on purpose, by a kernel that shares no code with the judge: it must
// be rejected, and the diagnosis must name it.

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "reference/verify/mistakes/mistake_list.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/diagnosis_cases.hpp"
#include "tests/verify/wrong_kernels.hpp"
#include "tests/verify/wrong_merges.hpp"

namespace apb {
namespace {

constexpr std::array kTypes{ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16};

TEST_CASE("every known mistake is rejected and named", "[verify]") {
  int named = 0;
  for (const auto& [name, shape] : shapes()) {
    for (const ValueType type : kTypes) {
      const CaseFile case_file = make_case(21, shape, type);
      for (const Mutation& mutation : mutations()) {
        if (!mutation.is_wrong(shape)) continue;
        CAPTURE(name, to_string(type), mutation.wanted);
        const CandidateRank wrong = run_wrong(mutation.make, case_file, type);
        const std::string found = diagnosis_text(case_file, {type, type, {wrong}, {}});
        CAPTURE(found);
        CHECK(found.find("\n  " + mutation.wanted) != std::string::npos);
        ++named;
      }
    }
  }
  // 32 mistakes; what Star passes nothing for, head maps that are right by chance, heads and tiles
  // that a shape lacks are none.
  CHECK(named == 495);
}

TEST_CASE("no neighbour of a known mistake goes by its name", "[verify]") {
  for (const auto& [name, shape] : shapes()) {
    // In float32 one key too many or too few is far over the budget.
    const ValueType type = ValueType::kFloat32;
    const CaseFile case_file = make_case(20, shape, type);
    for (const Mutation& neighbour : neighbours()) {
      if (!neighbour.is_wrong(shape)) continue;
      CAPTURE(name, neighbour.wanted);
      const CandidateRank wrong = run_wrong(neighbour.make, case_file, type);
      const std::string found = diagnosis_text(case_file, {type, type, {wrong}, {}});
      CAPTURE(found);
      CHECK(found.find("\n  " + neighbour.wanted) == std::string::npos);
    }
  }
}

TEST_CASE("no known mistake is without a wrong kernel that makes it, and a neighbour", "[verify]") {
  const auto made_by = [](const auto& all, std::string_view name) {
    return std::ranges::any_of(all, [&](const auto& mutation) {
      return mutation.wanted.starts_with(name) || name.starts_with(mutation.wanted);
    });
  };
  for (const Mistake& mistake : known_mistakes()) {
    CAPTURE(mistake.name);
    const bool unshifted = mistake.name == "merge without the shift by the largest lse";
    CHECK((unshifted ||  // made in failure_patterns_test.cpp, where scores are huge
           made_by(mutations(), mistake.name) || made_by(wrong_merges(), mistake.name)));
    CHECK((made_by(neighbours(), mistake.name) || made_by(merge_neighbours(), mistake.name)));
  }
}

/// The right result, with the wrong one in some rows of some heads.
CandidateRank mixed(const CandidateRank& right, const CandidateRank& wrong,
                    const std::function<bool(Index row, Index head)>& is_wrong) {
  CandidateRank result = right;
  for (Index row = 0; row < right.lse->rows(); ++row) {
    for (Index head = 0; head < right.lse->cols(); ++head) {
      if (!is_wrong(row, head)) continue;
      std::copy_n(wrong.out->view().at(row, head), right.out->head_dim(),
                  result.out->view().at(row, head));
      (*result.lse)(row, head) = (*wrong.lse)(row, head);
    }
  }
  return result;
}

TEST_CASE("a mistake in one place alone is named all the same", "[verify]") {
  for (const std::size_t s : {0U, 3U}) {
    const CaseShape& shape = shapes()[s].shape;
    const ValueType type = ValueType::kBfloat16;
    const CaseFile case_file = make_case(19, shape, type);
    const Index anchor = case_file.ranks.back().layout.anchor_rows;
    const CandidateRank right = run_wrong([](CaseRank&, Kernel&) {}, case_file, type);
    for (const Mutation& mutation : mutations()) {
      if (!mutation.is_wrong(shape)) continue;
      const CandidateRank wrong = run_wrong(mutation.make, case_file, type);
      const auto check = [&](const char* where, auto is_wrong) {
        const CandidateFile candidate{type, type, {mixed(right, wrong, is_wrong)}, {}};
        if (judge(case_file, candidate, {}).pass()) return;  // it does not reach that place
        CAPTURE(shapes()[s].name, mutation.wanted, where);
        const std::string found = diagnosis_text(case_file, candidate);
        CAPTURE(found);
        // Its name is enough: "row i" may be "anchor row i" there.
        const std::string name = mutation.wanted.substr(0, mutation.wanted.find(':'));
        CHECK(found.find("\n  " + name) != std::string::npos);
      };
      check("a head", [](Index, Index head) { return head == 0; });
      check("a tile of rows",
            [&](Index row, Index) { return row >= anchor + 32 && row < anchor + 48; });
      check("the anchor", [&](Index row, Index) { return row < anchor; });
    }
  }
}

TEST_CASE("a mask that hides the row itself is named, rows that then see nothing too", "[verify]") {
  const CaseFile case_file = make_case(22, shapes()[0].shape, ValueType::kFloat16);
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kFloat16;
  CaseRank inputs = case_file.ranks[2];
  off_by(-1)(inputs, kernel);
  for (const std::size_t r : {0U, 2U}) {
    CandidateFile candidate{kernel.compute_type,
                            kernel.out_type,
                            {run_kernel(kernel, case_file, case_file.ranks[r])},
                            {}};
    CHECK(first_explanation(case_file, candidate).starts_with("causal mask off by one: "));
  }
}

TEST_CASE("two mistakes at once, one in out and one in lse, are both named", "[verify]") {
  const CaseFile case_file = make_case(23, shapes()[1].shape, ValueType::kBfloat16);
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
  CaseRank inputs = case_file.ranks[2];
  zero_tail(6)(inputs, kernel);
  kernel.lse_factor = std::numbers::log2e;
  const std::string text =
      diagnosis_text(case_file, {kernel.compute_type,
                                 kernel.out_type,
                                 {run_kernel(kernel, case_file, case_file.ranks[2])},
                                 {}});
  CAPTURE(text);
  CHECK(text.find("out: values of the passing block read as 0: the last 6 of") !=
        std::string::npos);
  CHECK(text.find("lse: lse in base 2") != std::string::npos);
}

TEST_CASE("the ranks' passing blocks in the wrong order are named", "[verify]") {
  for (const NamedShape& one : shapes()) {
    if (!passes(one.shape)) continue;
    CaseFile case_file = make_case(24, one.shape, ValueType::kBfloat16);
    Kernel kernel;
    kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
    CAPTURE(one.name);

    // Values of rank 1 before those of rank 0, keys right.
    CaseFile wrong = case_file;
    CaseRank& rank = wrong.ranks[2];
    const Index first = case_file.ranks[0].layout.num_kept;
    HeadsTensor<double> value(0, rank.key.heads(), rank.key.head_dim());
    const auto whole = case_file.ranks[2].passing_value.view();
    value.append(whole.slice(first, whole.rows - first));
    value.append(whole.slice(0, first));
    rank.passing_value = value;
    std::string found = first_explanation(
        case_file, {kernel.compute_type, kernel.out_type, {run_kernel(kernel, wrong, rank)}, {}});
    CHECK(found.starts_with("passing blocks of the ranks in the wrong order: values reversed"));

    // Rank 1 takes its own entries for rank 0's: those of "ranks 1 to 1".
    rank = case_file.ranks[1];
    rank.passing_key = case_file.ranks[2].passing_key;
    rank.passing_value = case_file.ranks[2].passing_value;
    const Index own = case_file.ranks[1].layout.num_kept;
    rank.passing_key = HeadsTensor<double>(0, rank.key.heads(), rank.key.head_dim());
    rank.passing_key.append(case_file.ranks[2].passing_key.view().slice(first, own));
    rank.passing_value = HeadsTensor<double>(0, rank.key.heads(), rank.key.head_dim());
    rank.passing_value.append(case_file.ranks[2].passing_value.view().slice(first, own));
    rank.layout.passing_rows = own;
    found = first_explanation(
        case_file, {kernel.compute_type, kernel.out_type, {run_kernel(kernel, wrong, rank)}, {}});
    CHECK(found.starts_with("passing blocks of the ranks in the wrong order: entries of ranks 1"));
  }
}

/// NaN in the last key and value of the rank's block, as of `apb case --adversarial nan-outside`.
void put_nan_last(CaseRank& rank) {
  for (HeadsTensor<double>* tensor : {&rank.key, &rank.value}) {
    for (Index head = 0; head < tensor->heads(); ++head) {
      std::fill_n(tensor->view().at(tensor->rows() - 1, head), tensor->head_dim(), kNan);
    }
  }
}

TEST_CASE("NaN of keys that a row does not see: how it got there is named", "[verify]") {
  const std::string weighed = "NaN from what is not visible: weight 0 times NaN";
  const std::string scored = "causal mask missing, or added to the scores";
  for (const NamedShape& one : shapes()) {
    CaseFile case_file = make_case(28, one.shape, ValueType::kBfloat16);
    for (CaseRank& rank : case_file.ranks) put_nan_last(rank);
    const auto found = [&](const CaseRank& rank, HiddenKeys hidden, const MakeWrong& make,
                           bool with_lse) {
      CAPTURE(one.name, rank.rank, with_lse);
      Kernel kernel;
      kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
      kernel.hidden = hidden;
      CaseRank inputs = rank;
      make(inputs, kernel);
      CandidateRank given = run_kernel(kernel, case_file, inputs);
      if (!with_lse) given.lse.reset();
      return first_explanation(case_file, {kernel.compute_type, kernel.out_type, {given}, {}});
    };
    const auto right_mask = [](CaseRank&, Kernel&) {};
    const auto no_mask = off_by(100000);
    for (const CaseRank* rank : {&case_file.ranks.front(), &case_file.ranks.back()}) {
      CHECK(found(*rank, HiddenKeys::kSelected, right_mask, true).starts_with(weighed));
      CHECK(found(*rank, HiddenKeys::kSelected, right_mask, false).starts_with(weighed));
      CHECK(found(*rank, HiddenKeys::kAdded, right_mask, true).starts_with(scored));
    }
    // Only anchor rows, which the NaN does not reach, tell a missing mask from these.
    for (const bool with_lse : {true, false}) {
      CHECK(found(case_file.ranks.back(), HiddenKeys::kSkipped, no_mask, with_lse) ==
            "causal mask missing inside anchor and block");
    }
    CHECK(found(case_file.ranks.front(), HiddenKeys::kSkipped, no_mask, true).starts_with(scored));
    CHECK(found(case_file.ranks.front(), HiddenKeys::kSkipped, no_mask, false).find("or no mask") !=
          std::string::npos);
    if (!passes(one.shape)) continue;
    CHECK(found(case_file.ranks.back(), HiddenKeys::kSkipped, missing_tail(7), true)
              .starts_with("block rows miss keys of the passing block: the last 7 of"));
  }
}

}  // namespace
}  // namespace apb
