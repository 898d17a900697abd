#include "sim/tools/comparison_text.hpp"

#include <fmt/format.h>

#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/tools/prediction_text.hpp"

namespace apb::sim {
namespace {

std::string optional_times(const std::optional<double>& ratio) {
  return ratio ? times_text(*ratio) : "";
}

std::vector<std::string> row_of(const Comparison& comparison, const Contender& contender) {
  const SimMethodEntry& entry = entry_of(contender.method);
  std::vector<std::string> row{std::string(entry.title), entry.exact ? "exact" : ""};
  if (!contender.prediction) {
    row.insert(row.end(), {"", "cannot run", "", "", "", "", "", ""});
    return row;
  }
  const Prediction& prediction = *contender.prediction;
  row.insert(
      row.end(),
      {std::to_string(prediction.num_gpus), text_of(prediction.time_to_first_token()),
       text_of(prediction.band()), optional_times(comparison.speedup(contender, SimMethod::kFull)),
       optional_times(comparison.speedup(contender, SimMethod::kTensorParallel)),
       text_of(Bytes(prediction.kept_cache_bytes)), longest_prompt_text(contender.longest_prompt)});
  const Standing standing = standing_of(comparison, contender);
  std::string remark;
  if (standing != Standing::kSlower && standing != Standing::kDoesNotRun)
    remark = to_string(standing);
  if (prediction.fit != Fit::kFits)
    remark += fmt::format("{}{}", remark.empty() ? "" : ", ", to_string(prediction.fit));
  row.push_back(remark);
  return row;
}

/// What lies beyond the lengths that are looked at is not known.
std::string text_of(const BreakEven& pair) {
  if (!pair.both_run) return "cannot run";
  if (!pair.doc_len) return "not at " + with_separators(kLongestBreakEven);
  return with_separators(*pair.doc_len) + (*pair.doc_len == kShortestPrompt ? " or less" : "");
}

/// A number, or null.
template <class Number>
nlohmann::ordered_json optional_json(const std::optional<Number>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

}  // namespace

Table table_of(const Comparison& comparison) {
  Table table{{"method", "", "GPUs", "first token", "8 of 10 within", "x Full", "x TP", "KV a GPU",
               "longest prompt", ""},
              {}};
  for (const Contender& contender : comparison.contenders) {
    table.rows.push_back(row_of(comparison, contender));
  }
  return table;
}

Table csv_of(const std::vector<Comparison>& comparisons) {
  Table table{
      {"doc_len", "ranks", "method", "exact", "gpus", "time_to_first_token_s", "p10_s", "p90_s",
       "speedup_over_full", "speedup_over_tensor_parallel", "kv_bytes_per_gpu", "memory_bytes",
       "longest_prompt_tokens", "longest_prompt_may_be_longer", "fit", "standing", "refusal"},
      {}};
  const auto number = [](double value) { return fmt::format("{}", value); };
  for (const Comparison& comparison : comparisons) {
    for (const Contender& contender : comparison.contenders) {
      const SimMethodEntry& entry = entry_of(contender.method);
      std::vector<std::string> row{std::to_string(comparison.doc_len),
                                   std::to_string(comparison.ranks), std::string(entry.name),
                                   entry.exact ? "1" : "0"};
      if (contender.prediction) {
        const Prediction& prediction = *contender.prediction;
        const auto over = [&](SimMethod method) {
          const auto ratio = comparison.speedup(contender, method);
          return ratio ? number(*ratio) : "";
        };
        row.insert(
            row.end(),
            {std::to_string(prediction.num_gpus), number(prediction.time_to_first_token().number),
             number(prediction.band().p10.number), number(prediction.band().p90.number),
             over(SimMethod::kFull), over(SimMethod::kTensorParallel),
             std::to_string(prediction.kept_cache_bytes), std::to_string(prediction.memory.total()),
             std::to_string(contender.longest_prompt),
             contender.longest_prompt == kLongestPrompt ? "1" : "0",
             std::string(to_string(prediction.fit)),
             std::string(to_string(standing_of(comparison, contender))), ""});
      } else {
        row.insert(row.end(), {"", "", "", "", "", "", "", "", "", "", "", "", contender.refusal});
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table table_of(const std::vector<BreakEven>& pairs) {
  Table table{{"faster from (tokens)"}, {}};
  for (const BreakEven& pair : pairs) {
    const std::string title(entry_of(pair.approximate).title);
    if (table.rows.empty() || table.rows.back().front() != title) table.rows.push_back({title});
    table.rows.back().push_back(text_of(pair));
    if (table.rows.size() == 1)
      table.header.push_back(fmt::format("than {}", entry_of(pair.exact).title));
  }
  return table;
}

std::string text_of(const NicBreakEven& nic) {
  if (!nic.bytes_per_s) {
    return fmt::format(
        "APB is {} than the fastest exact method with network cards of {:g} to {:g} GB/s.",
        nic.apb_wins_slow ? "faster" : "not faster", kSlowestNic / 1e9, kFastestNic / 1e9);
  }
  return fmt::format(
      "APB is faster than the fastest exact method with network cards {} {:.3g} GB/s.",
      nic.apb_wins_slow ? "below" : "from", *nic.bytes_per_s / 1e9);
}

nlohmann::ordered_json to_json(const Comparison& comparison) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Contender& contender : comparison.contenders) {
    nlohmann::ordered_json row{{"method", entry_of(contender.method).name},
                               {"exact", entry_of(contender.method).exact}};
    if (contender.prediction) {
      row["job"] = to_json(*contender.job);
      row["prediction"] = to_json(*contender.prediction);
      row["standing"] = to_string(standing_of(comparison, contender));
      row["longest_prompt_tokens"] = contender.longest_prompt;
      row["longest_prompt_may_be_longer"] = contender.longest_prompt == kLongestPrompt;
      for (const auto& [key, over] :
           {std::pair{"speedup_over_full", SimMethod::kFull},
            std::pair{"speedup_over_tensor_parallel", SimMethod::kTensorParallel}}) {
        const auto ratio = comparison.speedup(contender, over);
        row[key] = optional_json(ratio);
      }
    } else {
      row["refusal"] = contender.refusal;
    }
    rows.push_back(std::move(row));
  }
  return {{"doc_len", comparison.doc_len},
          {"ranks", comparison.ranks},
          {"answer", answer(comparison)},
          {"methods", rows}};
}

nlohmann::ordered_json to_json(const OrderChanges& changes) {
  nlohmann::ordered_json lengths = nlohmann::ordered_json::array();
  for (const BreakEven& pair : changes.lengths) {
    lengths.push_back({{"approximate", entry_of(pair.approximate).name},
                       {"exact", entry_of(pair.exact).name},
                       {"both_run", pair.both_run},
                       {"faster_from_tokens", optional_json(pair.doc_len)}});
  }
  nlohmann::ordered_json json{{"ranks", changes.ranks}, {"lengths", lengths}};
  json["nic"] = nullptr;
  if (changes.nic) {
    json["nic"] = {{"apb_wins_with_slow_cards", changes.nic->apb_wins_slow},
                   {"apb_wins_with_fast_cards", changes.nic->apb_wins_fast},
                   {"bytes_per_s", optional_json(changes.nic->bytes_per_s)}};
  }
  return json;
}

}  // namespace apb::sim
