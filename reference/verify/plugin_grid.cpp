#include "reference/verify/plugin_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/core/error.hpp"
#include "reference/core/seeded_random.hpp"
#include "reference/verify/failing_rows.hpp"

namespace apb {
namespace {

/// Rows of the three segments.
struct Lengths {
  Index anchor;
  Index passing;
  Index block;
};

struct Heads {
  Index num_q_heads;
  Index num_kv_heads;
  Index head_dim;
};

struct GridShape {
  Lengths lengths;
  Heads heads;
  Index batch;
};

constexpr std::array kHeads{Heads{32, 8, 128}, Heads{28, 4, 128}, Heads{9, 3, 64}, Heads{1, 1, 64}};
constexpr std::array kTypes{ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16};

/// Every length once, heads and batches in turn; then 113 rows on 203 keys with all of them.
std::vector<GridShape> grid() {
  constexpr std::array kLengths{
      Lengths{0, 0, 1},    Lengths{0, 0, 17},      Lengths{1, 1, 1},       Lengths{17, 0, 17},
      Lengths{17, 17, 17}, Lengths{0, 90, 113},    Lengths{5, 0, 0},       Lengths{5, 7, 0},
      Lengths{0, 7, 5},    Lengths{0, 0, 0},       Lengths{63, 65, 64},    Lengths{64, 63, 65},
      Lengths{65, 64, 63}, Lengths{127, 129, 128}, Lengths{128, 127, 129}, Lengths{129, 128, 127},
      Lengths{64, 128, 64}};
  std::vector<GridShape> shapes;
  for (std::size_t i = 0; i < kLengths.size(); ++i) {
    shapes.push_back({kLengths[i], kHeads[i % kHeads.size()], 1 + static_cast<Index>(i / 4 % 2)});
  }
  for (const Heads& heads : kHeads) {
    for (const Index batch : {1, 2}) shapes.push_back({{40, 90, 73}, heads, batch});
  }
  shapes.push_back({{0, 1023, 65}, kHeads[3], 1});
  shapes.push_back({{65, 129, 1023}, kHeads[3], 1});
  shapes.push_back({{1023, 0, 1}, kHeads[3], 2});
  return shapes;
}

HeadsTensor<double> random_heads(SeededRandom& random, Index rows, Index heads, Index head_dim,
                                 double spread, ValueType type) {
  HeadsTensor<double> tensor(rows, heads, head_dim);
  for (double& value : tensor.values()) {
    value = round_to(type, spread * random.uniform());
  }
  return tensor;
}

CaseRank random_rank(SeededRandom& random, const GridShape& shape, ValueType type) {
  const Lengths& lengths = shape.lengths;
  const Heads& heads = shape.heads;
  const Index rows = lengths.anchor + lengths.block;
  const auto make = [&](Index count, Index num_heads, double spread) {
    return random_heads(random, count, num_heads, heads.head_dim, spread, type);
  };
  constexpr double kSpread = 3;  // scores of a few units: neither flat nor all on one key
  CaseRank rank;
  rank.layout.anchor_rows = lengths.anchor;
  rank.layout.passing_rows = lengths.passing;
  rank.layout.block_len = lengths.block;
  rank.query = make(rows, heads.num_q_heads, kSpread);
  rank.key = make(rows, heads.num_kv_heads, kSpread);
  rank.value = make(rows, heads.num_kv_heads, 1);
  rank.passing_key = make(lengths.passing, heads.num_kv_heads, kSpread);
  rank.passing_value = make(lengths.passing, heads.num_kv_heads, 1);
  return rank;
}

std::string in_words(const GridShape& shape, ValueType type) {
  return fmt::format("{} anchor {} passing {} block {} heads {}/{} head_dim {} batch {}",
                     to_string(type), shape.lengths.anchor, shape.lengths.passing,
                     shape.lengths.block, shape.heads.num_q_heads, shape.heads.num_kv_heads,
                     shape.heads.head_dim, shape.batch);
}

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

ShapeResult judge_shape(const PluginHost& host, std::uint64_t seed, const GridShape& shape,
                        ValueType type) {
  SeededRandom random(seed);
  ApbConfig config;
  config.num_q_heads = shape.heads.num_q_heads;
  config.num_kv_heads = shape.heads.num_kv_heads;
  config.head_dim = shape.heads.head_dim;
  config.softmax_scale = 1 / std::sqrt(static_cast<double>(shape.heads.head_dim));
  std::vector<CaseRank> ranks;
  for (Index i = 0; i < shape.batch; ++i) ranks.push_back(random_rank(random, shape, type));
  std::vector<const CaseRank*> items;
  for (const CaseRank& rank : ranks) items.push_back(&rank);
  return judge_call(host, config, nullptr, items, type,
                    count_up(shape.lengths.anchor + shape.lengths.block));
}

}  // namespace

std::vector<ShapeResult> judge_plugin_on_grid(
    const PluginHost& host, std::uint64_t seed,
    const std::function<void(const std::string&)>& progress) {
  std::vector<ShapeResult> results;
  for (const ValueType type : kTypes) {
    for (const GridShape& shape : grid()) {
      const std::string words = in_words(shape, type);
      if (progress) progress(words);
      ShapeResult result = judge_shape(host, seed, shape, type);
      const bool first = results.empty() || !results.back().shape.starts_with(to_string(type));
      const bool unsupported = result.ending == PluginEnding::kUnsupported;
      result.shape = unsupported && first ? std::string(to_string(type)) : words;
      results.push_back(std::move(result));
      if (unsupported && first) break;
    }
  }
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
