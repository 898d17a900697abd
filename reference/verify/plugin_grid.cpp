#include "reference/verify/plugin_grid.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/verify/failing_rows.hpp"
#include "reference/verify/grid_shape.hpp"

namespace apb {
namespace {

constexpr std::array kTypes{ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16};

/// Calls the plug-in and judges some rows of every batch item.
ShapeResult judge_call(const PluginHost& host, const ApbConfig& config, const CaseFile* case_file,
                       const std::vector<const CaseRank*>& items, ValueType type,
                       const std::vector<Index>& rows) {
  const PluginResult result = call_plugin(host, config, items, type);
  ShapeResult judged;
  judged.ending = result.ending;
  judged.why = result.why;
  if (result.ending != PluginEnding::kOk) return judged;
  const std::vector<Index> heads = count_up(config.num_q_heads);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const AttentionSetup setup = prefill_setup(*items[i], config);
    judge_attention({setup, case_file, items[i], {type, type}}, static_cast<int>(i), "", rows,
                    pick(result.out[i], rows, heads), pick(result.lse[i], rows, heads),
                    judged.judgement);
  }
  return judged;
}

using Progress = std::function<void(const std::string&)>;

ShapeResult judge_shape(const PluginHost& host, std::uint64_t seed, const GridShape& shape,
                        ValueType type, const Progress& progress) {
  const std::string words = fmt::format("{} {}", to_string(type), shape.in_words());
  if (progress) progress(words);
  const GridCall call = grid_call(shape, type, seed);
  std::vector<const CaseRank*> items;
  for (const CaseRank& item : call.items) items.push_back(&item);
  ShapeResult result = judge_call(host, call.config, nullptr, items, type,
                                  count_up(shape.lengths.anchor + shape.lengths.block));
  result.shape = words;
  return result;
}

/// One element type: first every head_dim, then all shapes of those that are supported.
void judge_type(const PluginHost& host, std::uint64_t seed, ValueType type,
                const Progress& progress, std::vector<ShapeResult>& results) {
  std::vector<Index> supported;
  std::vector<Index> unsupported;
  for (const Index head_dim : kGridHeadDims) {
    ShapeResult result = judge_shape(host, seed, first_shape(head_dim), type, progress);
    if (result.ending == PluginEnding::kUnsupported) {
      unsupported.push_back(head_dim);
    } else {
      supported.push_back(head_dim);
      results.push_back(std::move(result));
    }
  }
  if (!unsupported.empty()) {
    std::string words(to_string(type));
    if (!supported.empty()) words += fmt::format(" head_dim {}", fmt::join(unsupported, ", "));
    results.push_back({words, PluginEnding::kUnsupported, {}, {}});
  }
  if (supported.empty()) return;
  for (const GridShape& shape : grid_shapes(supported)) {
    results.push_back(judge_shape(host, seed, shape, type, progress));
  }
}

}  // namespace

std::vector<ShapeResult> judge_plugin_on_grid(
    const PluginHost& host, std::uint64_t seed,
    const std::function<void(const std::string&)>& progress) {
  std::vector<ShapeResult> results;
  for (const ValueType type : kTypes) judge_type(host, seed, type, progress, results);
  if (std::all_of(results.begin(), results.end(), [](const ShapeResult& result) {
        return result.ending == PluginEnding::kUnsupported;
      })) {
    throw BadInput(host.library +
                   ": supports none of float32, bfloat16, float16: nothing to judge");
  }
  return results;
}

std::vector<ShapeResult> judge_plugin_on_case(const PluginHost& host, const CaseFile& case_file,
                                              const JudgeOptions& options) {
  if (case_file.value_type == ValueType::kFloat64) {
    throw BadInput("case", "value_dtype", "float64",
                   "float32, bfloat16 or float16, which a plug-in can hold exactly");
  }
  std::vector<ShapeResult> results;
  for (const CaseRank& rank : case_file.ranks) {
    const std::string words =
        fmt::format("case rank {}: {} anchor {} passing {} block {}", rank.rank,
                    to_string(case_file.value_type), rank.layout.anchor_rows,
                    rank.layout.passing_rows, rank.layout.block_len);
    if (options.progress) options.progress(words);
    const auto rows = options.rows_of ? options.rows_of(rank) : count_up(rank.layout.rows());
    results.push_back(
        judge_call(host, case_file.config, &case_file, {&rank}, case_file.value_type, rows));
    results.back().shape = words;
  }
  return results;
}

}  // namespace apb
