#include "reference/verify/mistakes/wrong_merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {
namespace {

/// Whether all ranks' caches are merged. A rank's document and the query's own keys are two
/// stretches.
bool is_query_pass(const Evidence& evidence) {
  const WrongResult& wrong = evidence.wrong;
  return wrong.rank == nullptr && wrong.case_file != nullptr && wrong.case_file->decode &&
         wrong.setup.keys.size() == 2 * wrong.case_file->decode->ranks.size();
}

/// The keys of every partial: a rank's in a query pass, else a segment's.
std::vector<AttentionSetup> parts_of(const Evidence& evidence) {
  const AttentionSetup& whole = evidence.wrong.setup;
  const std::size_t stretches = is_query_pass(evidence) ? 2 : 1;
  std::vector<AttentionSetup> parts;
  for (std::size_t s = 0; s < whole.keys.size(); s += stretches) {
    AttentionSetup part = whole;
    part.keys.assign(whole.keys.begin() + static_cast<std::ptrdiff_t>(s),
                     whole.keys.begin() + static_cast<std::ptrdiff_t>(s + stretches));
    parts.push_back(std::move(part));
  }
  return parts;
}

/// One row and head of partial attention.
struct Partial {
  Eigen::RowVectorXd out;
  double lse = -kInfinite;
};

/// Makes one row and head from its partials.
using Merge = std::function<Partial(const std::vector<Partial>&)>;

Attention merged(const std::vector<AttentionSetup>& parts, Merge merge) {
  return
      [parts, merge = std::move(merge)](std::span<const Index> rows, std::span<const Index> heads) {
        std::vector<AttentionRows> all;
        for (const AttentionSetup& part : parts) all.push_back(true_attention(part, rows, heads));
        AttentionRows result = all.front();
        for (Index i = 0; i < result.lse.rows(); ++i) {
          for (Index h = 0; h < result.lse.cols(); ++h) {
            std::vector<Partial> partials;
            for (const AttentionRows& one : all) {
              partials.push_back({head_matrix(one.out.view(), h).row(i), one.lse(i, h)});
            }
            const Partial whole = merge(partials);
            head_matrix(result.out.view(), h).row(i) = whole.out;
            result.lse(i, h) = whole.lse;
          }
        }
        return result;
      };
}

Partial merge_right(const std::vector<Partial>& parts) {
  Partial whole{Eigen::RowVectorXd::Zero(parts.front().out.size()), -kInfinite};
  for (const Partial& part : parts) whole.lse = std::max(whole.lse, part.lse);
  if (whole.lse == -kInfinite) return whole;
  double sum = 0;
  for (const Partial& part : parts) {
    const double weight = std::exp(part.lse - whole.lse);
    sum += weight;
    whole.out += weight * part.out;
  }
  whole.out /= sum;
  whole.lse += std::log(sum);
  return whole;
}

Partial merge_unshifted(const std::vector<Partial>& parts) {
  Eigen::RowVectorXf out = Eigen::RowVectorXf::Zero(parts.front().out.size());
  float sum = 0;
  for (const Partial& part : parts) {
    const float weight = std::exp(static_cast<float>(part.lse));
    sum += weight;
    out += weight * part.out.cast<float>();
  }
  return {(out / sum).cast<double>(), std::log(sum)};
}

/// lse is as it should be: without weights nobody needs it.
Partial merge_unweighted(const std::vector<Partial>& parts) {
  Partial mean = merge_right(parts);
  mean.out.setZero();
  for (const Partial& part : parts) mean.out += part.out / static_cast<double>(parts.size());
  return mean;
}

Partial rounded(Partial part, ValueType type, bool out_too) {
  part.lse = round_to(type, part.lse);
  if (out_too) {
    for (double& value : part.out) value = round_to(type, value);
  }
  return part;
}

/// Partials one after another, each result rounded.
Partial merge_step_by_step(const std::vector<Partial>& parts, ValueType type) {
  Partial whole = rounded(parts.front(), type, true);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    whole = rounded(merge_right({whole, rounded(parts[i], type, true)}), type, true);
  }
  return whole;
}

Partial merge_rounded(std::vector<Partial> parts, ValueType type, bool out_too) {
  for (Partial& part : parts) part = rounded(std::move(part), type, out_too);
  return merge_right(parts);
}

/// Of parts `from` to `to`, those that saw nothing count as if their lse were 0.
Partial merge_empty_as_0(std::vector<Partial> parts, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    if (parts[i].lse == -kInfinite) parts[i].lse = 0;
  }
  return merge_right(parts);
}

}  // namespace

std::vector<Variant> merge_without_shift(const Evidence& evidence) {
  if (!is_query_pass(evidence)) return {};
  return {{": exp(lse) overflows or vanishes", merged(parts_of(evidence), merge_unshifted)}};
}

std::vector<Variant> merge_without_weights(const Evidence& evidence) {
  if (!is_query_pass(evidence)) return {};
  return {{": the mean of the partials", merged(parts_of(evidence), merge_unweighted)}};
}

std::vector<Variant> merge_in_low_precision(const Evidence& evidence) {
  const std::vector<AttentionSetup> parts = parts_of(evidence);
  if (parts.size() < 2) return {};
  std::vector<Variant> variants;
  for (const ValueType type : {ValueType::kBfloat16, ValueType::kFloat16}) {
    variants.push_back({fmt::format(": partial lse in {}", to_string(type)),
                        merged(parts, [type](const auto& partials) {
                          return merge_rounded(partials, type, false);
                        })});
    variants.push_back({fmt::format(": partial lse and out in {}", to_string(type)),
                        merged(parts, [type](const auto& partials) {
                          return merge_rounded(partials, type, true);
                        })});
    variants.push_back({fmt::format(": every intermediate lse and out in {}", to_string(type)),
                        merged(parts, [type](const auto& partials) {
                          return merge_step_by_step(partials, type);
                        })});
  }
  return variants;
}

std::vector<Variant> rank_missing_in_merge(const Evidence& evidence) {
  if (!is_query_pass(evidence)) return {};
  std::vector<Variant> variants;
  const AttentionSetup& right = evidence.wrong.setup;
  const std::size_t ranks = right.keys.size() / 2;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    AttentionSetup setup = right;
    const auto first = setup.keys.begin() + static_cast<std::ptrdiff_t>(2 * rank);
    setup.keys.erase(first, first + 2);
    variants.push_back({fmt::format(": rank {} of {}", rank, ranks), std::move(setup)});
  }
  return variants;
}

std::vector<Variant> empty_part_weighs(const Evidence& evidence) {
  const std::vector<AttentionSetup> parts = parts_of(evidence);
  if (parts.size() < 2) return {};
  std::vector<Variant> variants;
  const auto add = [&](std::string words, std::size_t from, std::size_t to) {
    variants.push_back({std::move(words), merged(parts, [from, to](const auto& partials) {
                          return merge_empty_as_0(partials, from, to);
                        })});
  };
  if (is_query_pass(evidence)) {
    add(": every rank that holds no keys", 0, parts.size());
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      if (count_keys(parts[rank]) == 0) add(fmt::format(": rank {}", rank), rank, rank + 1);
    }
  } else if (is_prefill(evidence)) {
    add(": segments that a row sees nothing of", 0, parts.size());
    add(": the passing block", kPassingKeys, kPassingKeys + 1);
  }
  return variants;
}

}  // namespace apb
