#include "reference/verify/evidence.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace apb {
namespace {

constexpr std::size_t kFailingRows = 24;
constexpr std::size_t kRightRows = 8;  // twice: next to failing ones, and anywhere
constexpr std::size_t kFailingHeads = 4;
constexpr std::size_t kRightHeads = 2;

/// 0 … count - 1 without the failing ones.
std::vector<Index> others(const std::vector<Index>& failing, Index count) {
  std::vector<Index> right;
  for (const Index i : count_up(count)) {
    if (!std::binary_search(failing.begin(), failing.end(), i)) right.push_back(i);
  }
  return right;
}

/// Those of the right places that lie next to a failing one.
std::vector<Index> beside(const std::vector<Index>& failing, const std::vector<Index>& right) {
  const auto fails = [&](Index place) {
    return std::binary_search(failing.begin(), failing.end(), place);
  };
  std::vector<Index> found;
  std::copy_if(right.begin(), right.end(), std::back_inserter(found),
               [&](Index place) { return fails(place - 1) || fails(place + 1); });
  return found;
}

/// Some of the failing places and some of the others, ascending.
std::vector<Index> choose(const std::vector<Index>& failing, std::size_t most_failing,
                          const std::vector<Index>& all_failing, Index count,
                          std::size_t most_right) {
  const std::vector<Index> right = others(all_failing, count);
  std::set<Index> chosen;
  for (const auto& some : {spread(failing, most_failing), spread(right, most_right),
                           spread(beside(all_failing, right), most_right)}) {
    chosen.insert(some.begin(), some.end());
  }
  return {chosen.begin(), chosen.end()};
}

/// 1 where a pair of all rows and heads fails.
Matrix<char> flags(const FailingPart& part, Index rows, Index heads) {
  Matrix<char> fails = Matrix<char>::Zero(rows, heads);
  for (const FailingPair& pair : part.pairs) fails(pair.row, pair.head) = 1;
  return fails;
}

std::vector<PairPlace> failing_pairs(const Matrix<char>& fails) {
  std::vector<PairPlace> pairs;
  for (Index i = 0; i < fails.rows(); ++i) {
    for (Index h = 0; h < fails.cols(); ++h) {
      if (fails(i, h) != 0) pairs.push_back({i, h});
    }
  }
  return pairs;
}

void list_failing(Evidence& evidence) {
  evidence.failing = failing_pairs(evidence.out_fails.cwiseMax(evidence.lse_fails));
}

/// Rows that fail in one of these heads.
std::vector<Index> rows_of(const FailingRows& failing, const std::vector<Index>& heads) {
  std::set<Index> rows;
  for (const FailingPart* part : {&failing.out, &failing.lse}) {
    for (const FailingPair& pair : part->pairs) {
      if (std::binary_search(heads.begin(), heads.end(), pair.head)) rows.insert(pair.row);
    }
  }
  return {rows.begin(), rows.end()};
}

/// The same evidence of fewer rows and heads, by their places.
Evidence part_of(const Evidence& whole, const std::vector<Index>& rows,
                 const std::vector<Index>& heads) {
  Evidence part{whole.wrong, pick(whole.truth, rows, heads), {}, {}, {}, {}, {}, {}};
  if (whole.out.rows() > 0) part.out = pick(whole.out, rows, heads);
  if (whole.lse.rows() > 0) part.lse = pick(whole.lse, rows, heads);
  part.tolerances = pick(whole.tolerances, rows, heads);
  part.out_fails = whole.out_fails(rows, heads);
  part.lse_fails = whole.lse_fails(rows, heads);
  list_failing(part);
  return part;
}

}  // namespace

double Evidence::out_error(PairPlace place, const double* expected) const {
  const double* given = out.view().at(place.row, place.head);
  return budget_share(row_error(given, expected, out.head_dim()),
                      tolerances.out(place.row, place.head));
}

double Evidence::lse_error(PairPlace place, double expected) const {
  return budget_share(element_error(lse(place.row, place.head), expected),
                      tolerances.lse(place.row, place.head));
}

Evidence gather_evidence(const WrongResult& wrong, const FailingRows& failing) {
  const Index num_rows = wrong.truth.lse.rows();
  const Index num_heads = wrong.truth.lse.cols();
  const std::vector<Index> heads =
      choose(failing.heads(), kFailingHeads, failing.heads(), num_heads, kRightHeads);
  const std::vector<Index> rows =
      choose(rows_of(failing, heads), kFailingRows, failing.rows(), num_rows, kRightRows);

  Evidence evidence{wrong, pick(wrong.truth, rows, heads), {}, {}, {}, {}, {}, {}};
  if (wrong.out.rows() > 0) evidence.out = pick(wrong.out, rows, heads);
  if (wrong.lse.rows() > 0) evidence.lse = pick(wrong.lse, rows, heads);
  evidence.tolerances = pick(wrong.tolerances, rows, heads);
  evidence.out_fails = flags(failing.out, num_rows, num_heads)(rows, heads);
  evidence.lse_fails = flags(failing.lse, num_rows, num_heads)(rows, heads);
  list_failing(evidence);
  return evidence;
}

Evidence first_glance(const Evidence& evidence) {
  std::set<Index> rows;
  std::set<Index> heads;
  for (const Matrix<char>* fails : {&evidence.out_fails, &evidence.lse_fails}) {
    for (const auto& [row, head] : spread(failing_pairs(*fails), 2)) {
      rows.insert(row);
      heads.insert(head);
    }
  }
  return part_of(evidence, {rows.begin(), rows.end()}, {heads.begin(), heads.end()});
}

bool inputs_are_finite(const AttentionSetup& setup) {
  const auto finite = [](const HeadsView<const double>& tensor) {
    bool all = true;
    for (Index head = 0; head < tensor.heads; ++head) all &= head_matrix(tensor, head).allFinite();
    return all;
  };
  return std::all_of(setup.keys.begin(), setup.keys.end(), [&](const KeyStretch& stretch) {
    return finite(stretch.key) && finite(stretch.value);
  });
}

Fit measure(const Evidence& evidence, const AttentionRows& expected) {
  Fit fit;
  for (Index h = 0; h < expected.lse.cols(); ++h) {
    const bool head_fails =
        !evidence.out_fails.col(h).isZero() || !evidence.lse_fails.col(h).isZero();
    for (Index i = 0; i < expected.lse.rows(); ++i) {
      const bool out_fails = evidence.out_fails(i, h) != 0;
      const bool lse_fails = evidence.lse_fails(i, h) != 0;
      Misfit& right = out_fails || lse_fails ? fit.beside
                      : head_fails           ? fit.other_rows
                                             : fit.other_heads;
      if (evidence.out.rows() > 0) {
        (out_fails ? fit.out : right).add(evidence.out_error({i, h}, expected.out.view().at(i, h)));
      }
      if (evidence.lse.rows() > 0) {
        (lse_fails ? fit.lse : right).add(evidence.lse_error({i, h}, expected.lse(i, h)));
      }
    }
  }
  return fit;
}

}  // namespace apb
