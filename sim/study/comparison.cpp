#include "sim/study/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/predict/number_text.hpp"

namespace apb::sim {
namespace {

bool runs(const Contender& contender) {
  return contender.prediction && contender.prediction->fit != Fit::kOutOfMemory;
}

Seconds time_of(const Contender& contender) {
  return contender.prediction->time_to_first_token();
}

std::string titles(const std::vector<const Contender*>& contenders) {
  std::string text;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    if (i > 0) text += i + 1 == contenders.size() ? " and " : ", ";
    text += entry_of(contenders[i]->method).title;
  }
  return text;
}

/// ", 1.5x tensor parallelism's speed on the same GPUs"; nothing if the two are equal.
std::string speed_over_tensor_parallel(const Comparison& comparison, const Contender& best) {
  const auto over = comparison.speedup(best, SimMethod::kTensorParallel);
  if (!over) return "";
  const Prediction& other = *comparison.of(SimMethod::kTensorParallel).prediction;
  if (difference_of(other.band(), best.prediction->band()) == Difference::kNone) return "";
  return fmt::format(", {} tensor parallelism's speed on {}", times_text(*over),
                     other.num_gpus == best.prediction->num_gpus ? "the same GPUs"
                                                                 : counted(other.num_gpus, "GPU"));
}

}  // namespace

std::optional<double> Comparison::speedup(const Contender& contender, SimMethod over) const {
  const Contender& other = of(over);
  if (!contender.prediction || !runs(other)) return std::nullopt;
  return time_of(other) / time_of(contender);
}

Comparison compare(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                   Index ranks) {
  Comparison comparison{doc_len, ranks, std::vector<Contender>(kSimMethods.size())};
  parallel_for(static_cast<Index>(kSimMethods.size()), [&](Index i) {
    Contender& contender = comparison.contenders[static_cast<std::size_t>(i)];
    contender.method = static_cast<SimMethod>(i);
    const auto job_of_length = [&](Index length) {
      return job_of(contender.method, length, ranks);
    };
    try {
      contender.job = job_of_length(doc_len);
      contender.prediction = predict(machine, *contender.job);
      contender.longest_prompt = longest_prompt(machine.profile(), job_of_length);
    } catch (const BadInput& refusal) {
      contender.refusal = refusal.what();
    }
  });
  return comparison;
}

const Contender* fastest(const Comparison& comparison, bool exact_only) {
  const Contender* best = nullptr;
  for (const Contender& contender : comparison.contenders) {
    if (!runs(contender) || (exact_only && !entry_of(contender.method).exact)) continue;
    if (best == nullptr || less_beyond_rounding(time_of(contender), time_of(*best)))
      best = &contender;
  }
  return best;
}

Standing standing_of(const Comparison& comparison, const Contender& contender) {
  if (!runs(contender)) return Standing::kDoesNotRun;
  const Contender* best = fastest(comparison, false);
  const auto to_best = [&](const Contender& one) {
    return difference_of(one.prediction->band(), best->prediction->band());
  };
  if (to_best(contender) == Difference::kIndistinguishable) return Standing::kIndistinguishable;
  if (to_best(contender) == Difference::kClear) return Standing::kSlower;
  const auto first = std::ranges::count_if(comparison.contenders, [&](const Contender& one) {
    return runs(one) && to_best(one) == Difference::kNone;
  });
  return first > 1 ? Standing::kEquallyFast : Standing::kFastest;
}

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::kFastest:
      return "fastest";
    case Standing::kEquallyFast:
      return "equally fast";
    case Standing::kIndistinguishable:
      return "indistinguishable";
    case Standing::kSlower:
      return "slower";
    case Standing::kDoesNotRun:
      return "does not run";
  }
  return "";
}

std::string answer(const Comparison& comparison) {
  const std::string where = fmt::format("{} on {}", counted(comparison.doc_len, "token"),
                                        counted(comparison.ranks, "rank"));
  const Contender* best = fastest(comparison, false);
  if (best == nullptr) return where + ": nothing fits.";
  std::vector<const Contender*> equal;
  std::vector<const Contender*> level;
  for (const Contender& contender : comparison.contenders) {
    const Standing standing = standing_of(comparison, contender);
    if (standing == Standing::kEquallyFast) equal.push_back(&contender);
    if (standing == Standing::kIndistinguishable) level.push_back(&contender);
  }
  std::string text = equal.empty()
                         ? fmt::format("{}: {} is fastest, {}", where, entry_of(best->method).title,
                                       text_of(time_of(*best)))
                         : fmt::format("{}: {} are equally fast, {}, and nothing is faster", where,
                                       titles(equal), text_of(time_of(*best)));
  text += speed_over_tensor_parallel(comparison, *best);
  if (!level.empty()) text += fmt::format("; indistinguishable from {}", titles(level));
  text += ".";

  const Contender* exact = fastest(comparison, true);
  if (exact == nullptr) return text;
  std::vector<const Contender*> no_gain;
  for (const Contender& contender : comparison.contenders) {
    if (entry_of(contender.method).exact || !runs(contender)) continue;
    if (contender.prediction->band().p90 >= exact->prediction->band().p10) {
      no_gain.push_back(&contender);
    }
  }
  if (!no_gain.empty()) {
    text += fmt::format(
        " Approximating gains nothing that can be told with {}: {} is exact and takes {}.",
        titles(no_gain), entry_of(exact->method).title, text_of(time_of(*exact)));
  }
  return text;
}

}  // namespace apb::sim
