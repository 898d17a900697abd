// How many last keys a kernel lost: every number is tried at once, by running sums from the end.

#include "reference/verify/mistakes/lost_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {
namespace {

/// (row, head) pairs looked at: enough to tell neighbours apart, few enough to be quick.
constexpr Index kMaxPairs = 12;

/// Running sums over the last keys of a stretch for one (row, head), weights relative to the whole
/// row's, and what they tell of the candidate.
class TailOfRow {
 public:
  TailOfRow(const Evidence& evidence, const KeyStretch& stretch, Index i, Index h)
      : evidence_(evidence), stretch_(stretch), i_(i), h_(h) {}

  /// Adds to every errors[k] how far the candidate is from the row without its last k keys.
  void add_errors(bool values_only, std::vector<double>& errors) const {
    const AttentionSetup& setup = evidence_.wrong.setup;
    const Index row = evidence_.truth.rows[static_cast<std::size_t>(i_)];
    const Index head = evidence_.truth.heads[static_cast<std::size_t>(h_)];
    const auto query = head_matrix(setup.query, head).row(row);
    const auto key = head_matrix(stretch_.key, setup.kv_head(head));
    const auto value = head_matrix(stretch_.value, setup.kv_head(head));
    const double lse = evidence_.truth.lse(i_, h_);
    double weight = 0;
    Eigen::RowVectorXd lost = Eigen::RowVectorXd::Zero(setup.query.head_dim);
    for (Index k = 0; k < std::ssize(errors); ++k) {
      if (k > 0) {
        const Index j = key.rows() - k;
        const double w = std::exp(setup.softmax_scale * query.dot(key.row(j)) - lse);
        weight += w;
        lost += w * value.row(j);
      }
      errors[static_cast<std::size_t>(k)] += error_without(values_only ? 0 : weight, lost);
    }
  }

 private:
  /// Squared error in units of the tolerances, over the quantities that are given.
  [[nodiscard]] double error_without(double weight, const Eigen::RowVectorXd& lost) const {
    // Rows that nothing is allowed of count as much as the others that are off.
    const auto units = [](double off, double tolerance) {
      return off / std::max(tolerance, std::numeric_limits<double>::min());
    };
    const double rest = std::max(1 - weight, std::numeric_limits<double>::min());
    double error = 0;
    if (evidence_.out.rows() > 0) {
      const auto truth = head_matrix(evidence_.truth.out.view(), h_).row(i_);
      const auto candidate = head_matrix(evidence_.out.view(), h_).row(i_);
      const Eigen::RowVectorXd expected = (truth - lost) / rest;
      error += std::pow(units((candidate - expected).norm(), evidence_.tolerances.out(i_, h_)), 2);
    }
    if (evidence_.lse.rows() > 0) {
      const double off = evidence_.lse(i_, h_) - evidence_.truth.lse(i_, h_) - std::log(rest);
      error += std::pow(units(off, evidence_.tolerances.lse(i_, h_)), 2);
    }
    return error;
  }

  const Evidence& evidence_;
  const KeyStretch& stretch_;
  Index i_;
  Index h_;
};

/// Number k >= 1 of last keys of a stretch without which (or whose values read as 0: `values_only`)
/// the attention comes nearest to the candidate's, and is nearer than with them; else 0.
Index best_missing_tail(const Evidence& evidence, std::size_t stretch, bool values_only) {
  const KeyStretch& keys = evidence.wrong.setup.keys[stretch];
  std::vector<double> errors(static_cast<std::size_t>(keys.key.rows + 1));
  Index pairs = 0;
  // Last rows first: anchor rows come first and see no passing keys.
  for (auto place = evidence.failing.rbegin(); place != evidence.failing.rend(); ++place) {
    if (keys.visible(evidence.row(*place)) < keys.key.rows || pairs == kMaxPairs) continue;
    if (std::isnan(evidence.truth.lse(place->row, place->head))) continue;  // tells nothing
    TailOfRow(evidence, keys, place->row, place->head).add_errors(values_only, errors);
    ++pairs;
  }
  // A NaN never compares as smaller: a broken candidate gives 0.
  return std::min_element(errors.begin(), errors.end()) - errors.begin();
}

/// "the last 5 keys of the passing block (beyond whole tiles of 16)"
std::string tail_in_words(Index count, Index keys, std::string_view segment) {
  if (count == keys) return fmt::format("all {} keys of the {}", keys, segment);
  std::string text = fmt::format("the last {} of {} keys of the {}", count, keys, segment);
  for (const Index tile : kTiles) {
    if (count == keys % tile) return text + fmt::format(" (beyond whole tiles of {})", tile);
  }
  return text;
}

std::vector<Variant> tail_variant(const Evidence& evidence, std::size_t stretch,
                                  std::string_view segment, bool values_only) {
  if (!is_prefill(evidence)) return {};
  const Index keys = evidence.wrong.setup.keys[stretch].key.rows;
  const Index count = best_missing_tail(evidence, stretch, values_only);
  if (count == 0) return {};
  AttentionSetup setup = evidence.wrong.setup;
  split_stretch(setup, stretch, keys - count);
  KeyStretch& tail = setup.keys[stretch + 1];
  const std::string words = tail_in_words(count, keys, segment);
  if (values_only) {
    tail.value = {};
    return {{fmt::format(": {}", words), std::move(setup)}};
  }
  tail.visible = [seen = tail.visible, anchor = setup.anchor_rows](Index row) {
    return row < anchor ? seen(row) : 0;
  };
  return {{fmt::format(": {}", words), std::move(setup)}};
}

}  // namespace

std::vector<Variant> passing_tail_missing(const Evidence& evidence) {
  return tail_variant(evidence, kPassingKeys, "passing block", false);
}
std::vector<Variant> passing_values_zero(const Evidence& evidence) {
  return tail_variant(evidence, kPassingKeys, "passing block", true);
}
std::vector<Variant> anchor_tail_missing(const Evidence& evidence) {
  return tail_variant(evidence, kAnchorKeys, "anchor", false);
}

}  // namespace apb
