#include "reference/verify/failing_rows.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace apb {
namespace {

/// Errors of one (row, head), each in units of its tolerance.
struct PairError {
  double out = 0;
  double lse = 0;
  bool out_non_finite = false;
  bool lse_non_finite = false;
};

PairError pair_error(const WrongResult& wrong, Index i, Index h) {
  PairError error;
  if (wrong.out.rows() > 0) {
    const double* candidate = wrong.out.view().at(i, h);
    const double* truth = wrong.truth.out.view().at(i, h);
    const Index head_dim = wrong.out.head_dim();
    error.out = budget_share(row_error(candidate, truth, head_dim), wrong.tolerances.out(i, h));
    for (Index d = 0; d < head_dim; ++d) {
      error.out_non_finite |= !std::isfinite(candidate[d]) && std::isfinite(truth[d]);
    }
  }
  if (wrong.lse.rows() > 0) {
    error.lse = budget_share(element_error(wrong.lse(i, h), wrong.truth.lse(i, h)),
                             wrong.tolerances.lse(i, h));
    error.lse_non_finite =
        !std::isfinite(wrong.lse(i, h)) && !(error.lse <= 1);  // -inf may be right
  }
  return error;
}

/// All pairs whose errors are not within `limit`.
FailingRows pairs_over(const WrongResult& wrong, double limit) {
  std::set<Index> rows;
  std::set<Index> heads;
  FailingRows failing;
  bool out_fails = false;
  bool lse_fails = false;
  for (Index i = 0; i < wrong.truth.lse.rows(); ++i) {
    for (Index h = 0; h < wrong.truth.lse.cols(); ++h) {
      const PairError error = pair_error(wrong, i, h);
      if (error.out <= limit && error.lse <= limit) continue;
      rows.insert(i);
      heads.insert(h);
      const bool wrong_out = !(error.out <= limit);
      const bool wrong_lse = !(error.lse <= limit);
      out_fails |= wrong_out;
      lse_fails |= wrong_lse;
      failing.numbers |=
          (wrong_out && !error.out_non_finite) || (wrong_lse && !error.lse_non_finite);
      failing.out_non_finite |= error.out_non_finite;
      failing.lse_non_finite |= error.lse_non_finite;
    }
  }
  failing.rows.assign(rows.begin(), rows.end());
  failing.heads.assign(heads.begin(), heads.end());
  failing.quantities = out_fails && lse_fails ? "out and lse" : out_fails ? "out" : "lse";
  return failing;
}

}  // namespace

FailingRows find_failing_rows(const WrongResult& wrong) {
  FailingRows failing = pairs_over(wrong, 1);
  if (!failing.rows.empty()) return failing;
  double worst = 0;
  for (Index i = 0; i < wrong.truth.lse.rows(); ++i) {
    for (Index h = 0; h < wrong.truth.lse.cols(); ++h) {
      worst = std::max(worst, pair_error(wrong, i, h).out);
    }
  }
  return pairs_over(wrong, worst / 2);
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
