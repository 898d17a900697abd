#include "reference/verify/failing_rows.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace apb {
namespace {

/// All pairs of out, failing or not.
std::vector<FailingPair> out_pairs(const WrongResult& wrong) {
  std::vector<FailingPair> pairs;
  const Index head_dim = wrong.out.head_dim();
  for (Index i = 0; i < wrong.out.rows(); ++i) {
    for (Index h = 0; h < wrong.out.heads(); ++h) {
      const double* candidate = wrong.out.view().at(i, h);
      const double* truth = wrong.truth.out.view().at(i, h);
      FailingPair pair{
          i, h, budget_share(row_error(candidate, truth, head_dim), wrong.tolerances.out(i, h)),
          false};
      for (Index d = 0; d < head_dim; ++d) {
        pair.non_finite |= !std::isfinite(candidate[d]) && std::isfinite(truth[d]);
      }
      pairs.push_back(pair);
    }
  }
  return pairs;
}

std::vector<FailingPair> lse_pairs(const WrongResult& wrong) {
  std::vector<FailingPair> pairs;
  for (Index i = 0; i < wrong.lse.rows(); ++i) {
    for (Index h = 0; h < wrong.lse.cols(); ++h) {
      const double error = budget_share(element_error(wrong.lse(i, h), wrong.truth.lse(i, h)),
                                        wrong.tolerances.lse(i, h));
      const bool non_finite =
          !std::isfinite(wrong.lse(i, h)) && !(error <= 1);  // -inf may be right
      pairs.push_back({i, h, error, non_finite});
    }
  }
  return pairs;
}

std::vector<FailingPair> pairs_over(const std::vector<FailingPair>& pairs, double limit) {
  std::vector<FailingPair> over;
  std::copy_if(pairs.begin(), pairs.end(), std::back_inserter(over),
               [&](const FailingPair& pair) { return !(pair.error <= limit); });
  return over;
}

/// Those over their budget, or else, if the quantity fails, those with the largest errors.
FailingPart failing_part(const std::vector<FailingPair>& pairs, bool fails) {
  if (!fails) return {};
  FailingPart part{pairs_over(pairs, 1), false};
  if (!part.pairs.empty()) return part;
  double largest = 0;
  for (const FailingPair& pair : pairs) largest = std::max(largest, pair.error);
  return {pairs_over(pairs, largest / 2), true};
}

std::vector<Index> ascending(const std::vector<FailingPair>& pairs, Index FailingPair::*place) {
  std::set<Index> places;
  for (const FailingPair& pair : pairs) places.insert(pair.*place);
  return {places.begin(), places.end()};
}

std::vector<Index> united(const std::vector<Index>& a, const std::vector<Index>& b) {
  std::vector<Index> all;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

}  // namespace

std::vector<Index> FailingPart::rows() const {
  return ascending(pairs, &FailingPair::row);
}
std::vector<Index> FailingPart::heads() const {
  return ascending(pairs, &FailingPair::head);
}
bool FailingPart::has_numbers() const {
  return std::any_of(pairs.begin(), pairs.end(), [](const auto& pair) { return !pair.non_finite; });
}
bool FailingPart::has_non_finite() const {
  return std::any_of(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.non_finite; });
}

std::vector<Index> FailingRows::rows() const {
  return united(out.rows(), lse.rows());
}
std::vector<Index> FailingRows::heads() const {
  return united(out.heads(), lse.heads());
}

FailingRows find_failing_rows(const WrongResult& wrong) {
  return {failing_part(out_pairs(wrong), wrong.out_fails),
          failing_part(lse_pairs(wrong), wrong.lse_fails)};
}

HeadsTensor<double> pick(const HeadsTensor<double>& all, const std::vector<Index>& rows,
                         const std::vector<Index>& heads) {
  HeadsTensor<double> chosen(std::ssize(rows), std::ssize(heads), all.head_dim());
  for (Index i = 0; i < chosen.rows(); ++i) {
    for (Index h = 0; h < chosen.heads(); ++h) {
      std::copy_n(
          all.view().at(rows[static_cast<std::size_t>(i)], heads[static_cast<std::size_t>(h)]),
          all.head_dim(), chosen.view().at(i, h));
    }
  }
  return chosen;
}

Matrix<double> pick(const Matrix<double>& all, const std::vector<Index>& rows,
                    const std::vector<Index>& heads) {
  return all(rows, heads);
}

Tolerances pick(const Tolerances& all, const std::vector<Index>& rows,
                const std::vector<Index>& heads) {
  return {pick(all.out, rows, heads), pick(all.out_mean_square, rows, heads),
          pick(all.lse, rows, heads), all.shows_bias(rows, heads)};
}

AttentionRows pick(const AttentionRows& all, const std::vector<Index>& rows,
                   const std::vector<Index>& heads) {
  AttentionRows chosen;
  for (const Index i : rows) chosen.rows.push_back(all.rows[static_cast<std::size_t>(i)]);
  for (const Index h : heads) chosen.heads.push_back(all.heads[static_cast<std::size_t>(h)]);
  chosen.out = pick(all.out, rows, heads);
  chosen.lse = pick(all.lse, rows, heads);
  return chosen;
}

}  // namespace apb
