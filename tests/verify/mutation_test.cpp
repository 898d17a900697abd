// Every known mistake is made on purpose, by a kernel that shares no code with the judge: it must
// be rejected, and the diagnosis must name it.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reference/verify/mistakes/mistake_list.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/diagnosis_cases.hpp"

namespace apb {
namespace {

constexpr AnchorConvention kOfficial = AnchorConvention::kOfficial;

/// A wrong kernel, of the last rank of the case.
using MakeWrong = std::function<void(const CaseRank&, Kernel&)>;

struct Mutation {
  std::string wanted;  ///< how the explanation begins
  MakeWrong make;
  /// Whether it is one: some head maps are right by chance.
  std::function<bool(const CaseShape&)> is_wrong = [](const CaseShape&) { return true; };
};

/// Star passes nothing.
bool passes(const CaseShape& shape) {
  return shape.num_kept > 0;
}

Index anchor_rows(const CaseShape& shape) {
  return shape.anchor_len + (shape.convention == kOfficial ? 0 : shape.query_rows);
}

auto missing_tail(Index count) {
  return [count](const CaseRank& rank, Kernel& kernel) {
    kernel.visible = [passing = rank.layout.passing_rows, count](Segment q, Index i, Segment k,
                                                                 Index j) {
      if (k == Segment::kPassing && j >= passing - count) return false;
      return is_visible(q, i, k, j);
    };
  };
}

auto zero_tail(Index count) {
  return [count](const CaseRank& rank, Kernel& kernel) {
    kernel.value_is_zero = [passing = rank.layout.passing_rows, count](Segment k, Index j) {
      return k == Segment::kPassing && j >= passing - count;
    };
  };
}

auto missing_anchor_tail(Index count) {
  return [count](const CaseRank& rank, Kernel& kernel) {
    kernel.visible = [anchor = rank.layout.anchor_rows, count](Segment q, Index i, Segment k,
                                                               Index j) {
      if (q == Segment::kBlock && k == Segment::kAnchor && j >= anchor - count) return false;
      return is_visible(q, i, k, j);
    };
  };
}

void anchor_sees_beyond_tiles_of_16(const CaseRank& rank, Kernel& kernel) {
  kernel.visible = [whole = rank.layout.passing_rows / 16 * 16](Segment q, Index i, Segment k,
                                                                Index j) {
    return (k == Segment::kPassing && j >= whole) || is_visible(q, i, k, j);
  };
}

/// Keys in their usual order, or the passing block before the anchor.
auto top_left(bool passing_first) {
  return [passing_first](const CaseRank& rank, Kernel& kernel) {
    const Index anchor = rank.layout.anchor_rows;
    const Index passing = rank.layout.passing_rows;
    kernel.visible = [=](Segment q, Index i, Segment k, Index j) {
      const Index row = q == Segment::kAnchor ? i : anchor + i;
      Index before = anchor + passing;
      if (k == Segment::kAnchor) before = passing_first ? passing : 0;
      if (k == Segment::kPassing) before = passing_first ? 0 : anchor;
      return before + j <= row;
    };
  };
}

auto off_by(Index step) {
  return [step](const CaseRank&, Kernel& kernel) {
    kernel.visible = [step](Segment q, Index i, Segment k, Index j) {
      return q == k ? j <= i + step : is_visible(q, i, k, j);
    };
  };
}

void border_tile_of_16(const CaseRank& rank, Kernel& kernel) {
  const Index anchor = rank.layout.anchor_rows;
  kernel.visible = [anchor](Segment q, Index i, Segment k, Index j) {
    const bool in_tile = q == Segment::kBlock && anchor + i < (anchor + 15) / 16 * 16;
    return is_visible(q, i, k, j) && !(in_tile && k == Segment::kPassing);
  };
}

void border_tile_sees_passing(const CaseRank& rank, Kernel& kernel) {
  const Index first = rank.layout.anchor_rows / 16 * 16;
  kernel.visible = [first](Segment q, Index i, Segment k, Index j) {
    const bool in_tile = q == Segment::kAnchor && i >= first;
    return is_visible(q, i, k, j) || (in_tile && k == Segment::kPassing);
  };
}

const std::vector<Mutation>& mutations() {
  static const std::vector<Mutation> all{
      {"anchor rows see the passing block",
       [](const CaseRank&, Kernel& kernel) {
         kernel.visible = [](Segment q, Index i, Segment k, Index j) {
           return k == Segment::kPassing || is_visible(q, i, k, j);
         };
       },
       passes},
      {"anchor rows see the passing block: its last", anchor_sees_beyond_tiles_of_16, passes},
      {"block rows miss keys of the passing block: the last 1 of", missing_tail(1), passes},
      {"block rows miss keys of the passing block: the last 7 of", missing_tail(7), passes},
      {"block rows miss keys of the passing block: all", missing_tail(1000), passes},
      {"values of the passing block read as 0: the last 1 of", zero_tail(1), passes},
      {"values of the passing block read as 0: the last 6 of", zero_tail(6), passes},
      {"values of the passing block read as 0: all", zero_tail(1000), passes},
      {"block rows miss keys of the anchor: the last 3 of", missing_anchor_tail(3)},
      {"causal mask aligned top-left: row i sees keys 0…i of [anchor, passing, block]",
       top_left(false), passes},  // of Star, it is right
      {"causal mask aligned top-left: row i sees keys 0…i of [passing, anchor, block]",
       top_left(true), passes},
      {"causal mask off by one: row i sees own keys 0…i+1", off_by(1)},
      {"causal mask missing inside anchor and block", off_by(100000)},
      {"GQA map wrong: query head h reads KV head h % num_kv_heads",
       [](const CaseRank&, Kernel& kernel) {
         kernel.kv_head = [](Index head, Index, Index kv_heads) { return head % kv_heads; };
       },
       [](const CaseShape& shape) { return shape.num_kv_heads > 1; }},
      {"GQA map wrong: query head h reads KV head h / num_kv_heads",
       [](const CaseRank&, Kernel& kernel) {
         kernel.kv_head = [](Index head, Index, Index kv_heads) {
           return std::min(head / kv_heads, kv_heads - 1);
         };
       },
       [](const CaseShape& shape) {
         return shape.num_q_heads != shape.num_kv_heads * shape.num_kv_heads;
       }},
      {"lse in base 2",
       [](const CaseRank&, Kernel& kernel) { kernel.lse_factor = std::numbers::log2e; }},
      {"softmax scale missing",
       [](const CaseRank&, Kernel& kernel) { kernel.scale = [](double) { return 1.0; }; }},
      {"softmax scale squared",
       [](const CaseRank&, Kernel& kernel) { kernel.scale = [](double s) { return s * s; }; }},
      {"softmax scale times ln 2",
       [](const CaseRank&, Kernel& kernel) {
         kernel.scale = [](double s) { return s * std::numbers::ln2; };
       }},
      {"tile border: block rows in the tile of 16", border_tile_of_16, passes},
      {"tile border: anchor rows in the tile of 16", border_tile_sees_passing,
       [](const CaseShape& shape) { return passes(shape) && anchor_rows(shape) > 16; }},
  };
  return all;
}

TEST_CASE("every known mistake is rejected and named", "[verify]") {
  int named = 0;
  for (const auto& [name, shape] : shapes()) {
    for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
      const CaseFile case_file = make_case(21, shape, type);
      const CaseRank& rank = case_file.ranks.back();
      for (const Mutation& mutation : mutations()) {
        if (!mutation.is_wrong(shape)) continue;
        CAPTURE(name, to_string(type), mutation.wanted);
        Kernel kernel;
        kernel.compute_type = kernel.out_type = type;
        mutation.make(rank, kernel);
        CandidateFile candidate{type, type, {run_kernel(kernel, case_file, rank)}, {}};
        const std::string found = first_explanation(case_file, candidate);
        CAPTURE(found);
        CHECK(found.starts_with(mutation.wanted));
        ++named;
      }
    }
  }
  // 21 mistakes; what Star passes nothing for, and head maps that are right by chance, are none.
  CHECK(named == 3 * (20 + 20 + 21 + 19 + 20 + 9 + 7));
}

TEST_CASE("no known mistake is without a wrong kernel that makes it", "[verify]") {
  for (const Mistake& mistake : known_mistakes()) {
    CAPTURE(mistake.name);
    const bool passing_order = mistake.name == "passing blocks of the ranks in the wrong order";
    CHECK((passing_order ||  // made in a test of its own, below
           std::ranges::any_of(mutations(), [&](const Mutation& mutation) {
             return mutation.wanted.starts_with(mistake.name);
           })));
  }
}

TEST_CASE("a mask that hides the row itself is named, rows that then see nothing too", "[verify]") {
  const CaseFile case_file = make_case(22, shapes()[0].shape, ValueType::kFloat16);
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kFloat16;
  off_by(-1)(case_file.ranks[2], kernel);
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
  zero_tail(6)(case_file.ranks[2], kernel);
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
      make(rank, kernel);
      CandidateRank given = run_kernel(kernel, case_file, rank);
      if (!with_lse) given.lse.reset();
      return first_explanation(case_file, {kernel.compute_type, kernel.out_type, {given}, {}});
    };
    const auto right_mask = [](const CaseRank&, Kernel&) {};
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
