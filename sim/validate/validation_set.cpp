#include "sim/validate/validation_set.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "reference/cli/config_files.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/json_node.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/work/layer_plan.hpp"

namespace apb::sim {
namespace {

constexpr Index kMaxRanks = 4096;

std::string method_of(const JsonNode& row) {
  const std::string name = row["method"].text();
  if (!is_sim_method(name)) row["method"].refuse("one of " + sim_method_names());
  return name;
}

double overlap_of(const JsonNode& node) {
  const double overlap = node.number(Allowed::kZeroOrMore);
  if (overlap > 1) node.refuse("0 to 1");
  return overlap;
}

void read_setting(const JsonNode& row, PrefillSetting& into) {
  into.method = method_of(row);
  into.ranks = row["ranks"].count();
  if (into.ranks > kMaxRanks) row["ranks"].refuse(fmt::format("1 to {}", kMaxRanks));
  into.doc_len = row["doc_len"].count_or_zero();
  if (row.has("anchor_len")) into.anchor_len = row["anchor_len"].count_or_zero();
  if (row.has("num_kept")) into.num_kept = row["num_kept"].count_or_zero();
  if (row.has("overlap")) into.overlap = overlap_of(row["overlap"]);
}

/// A name in a folder of configs, or a .json file.
std::string known_name(const JsonNode& node, const std::string& folder) {
  const std::string name = node.text();
  const std::vector<std::string> known = config_names(folder);
  if (!name.ends_with(".json") && std::ranges::find(known, name) == known.end()) {
    node.refuse(fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return name;
}

PrefillRow prefill_row(const JsonNode& row) {
  row.expect_keys({"method", "ranks", "doc_len"},
                  {"anchor_len", "num_kept", "overlap", "seconds", "out_of_memory"});
  PrefillRow result;
  read_setting(row, result);
  const bool out_of_memory = row.has("out_of_memory") && row["out_of_memory"].flag();
  if (out_of_memory == row.has("seconds")) row.refuse("either timed (seconds) or out_of_memory");
  if (!out_of_memory) result.measured = Seconds(row["seconds"].number(Allowed::kPositive));
  return result;
}

PartsRow parts_row(const JsonNode& row) {
  row.expect_keys({"method", "ranks", "doc_len", "parts_ms"},
                  {"anchor_len", "num_kept", "overlap"});
  PartsRow result;
  read_setting(row, result);
  const JsonNode parts = row["parts_ms"];
  parts.expect_keys({}, {kPartNames.begin(), kPartNames.end()});
  for (const std::string& name : parts.keys()) {
    result.parts.emplace_back(name, Seconds(1e-3 * parts[name].number(Allowed::kPositive)));
  }
  return result;
}

LayerRow layer_row(const JsonNode& row) {
  row.expect_keys({"method", "ranks", "doc_len", "ms"},
                  {"anchor_len", "num_kept", "overlap", "with_exchanges"});
  LayerRow result;
  read_setting(row, result);
  if (row.has("with_exchanges")) result.with_exchanges = row["with_exchanges"].flag();
  result.measured = Seconds(1e-3 * row["ms"].number(Allowed::kPositive));
  return result;
}

AttentionRow attention_row(const JsonNode& row) {
  row.expect_keys({"backend", "rank", "anchor_len", "num_kept", "block_len", "ms"});
  AttentionRow result;
  result.backend = row["backend"].text();
  result.rank = row["rank"].count_or_zero();
  result.anchor_len = row["anchor_len"].count_or_zero();
  result.num_kept = row["num_kept"].count_or_zero();
  result.block_len = row["block_len"].count();
  result.measured = Seconds(1e-3 * row["ms"].number(Allowed::kPositive));
  return result;
}

void read_bounds(const JsonNode& node, Bounds& bounds) {
  node.expect_keys({"mean_error", "worst_error"}, {"coverage", "half_width"});
  bounds.mean_error = node["mean_error"].number(Allowed::kZeroOrMore);
  bounds.worst_error = node["worst_error"].number(Allowed::kZeroOrMore);
  if (node.has("coverage")) bounds.coverage = node["coverage"].number(Allowed::kZeroOrMore);
  if (node.has("half_width")) bounds.half_width = node["half_width"].number(Allowed::kZeroOrMore);
}

}  // namespace

ValidationSet read_validation_set(const std::string& path) {
  const nlohmann::json whole = parse_json_object(path, read_whole_file(path));
  const JsonNode root(path, "", whole);
  root.expect_keys({"schema", "version", "title", "source", "machine", "model", "bounds"},
                   {"notes", "backend", "query_len", "overlap", "captured", "all_logits",
                    "order_counts", "prefill", "parts", "attention", "layers"});
  root.expect_schema("apb-validation");
  ValidationSet set;
  set.file = path;
  set.name = std::filesystem::path(path).stem().string();
  set.title = root["title"].text();
  set.source = root["source"].text();
  set.machine = known_name(root["machine"], "machines");
  set.model = known_name(root["model"], "models");
  read_bounds(root["bounds"], set.bounds);
  if (root.has("backend")) set.backend = root["backend"].text();
  if (root.has("query_len")) set.query_len = root["query_len"].count_or_zero();
  if (root.has("overlap")) set.overlap = overlap_of(root["overlap"]);
  if (root.has("captured")) set.captured = root["captured"].flag();
  if (root.has("all_logits")) set.all_logits = root["all_logits"].flag();
  if (root.has("order_counts")) set.order_counts = root["order_counts"].flag();
  const auto each = [&](std::string_view key, auto&& take) {
    if (!root.has(key)) return;
    for (const JsonNode& row : root[key].elements()) take(row);
  };
  each("notes", [&](const JsonNode& note) { set.notes.push_back(note.text()); });
  each("prefill", [&](const JsonNode& row) { set.prefill.push_back(prefill_row(row)); });
  each("parts", [&](const JsonNode& row) { set.parts.push_back(parts_row(row)); });
  each("attention", [&](const JsonNode& row) { set.attention.push_back(attention_row(row)); });
  each("layers", [&](const JsonNode& row) { set.layers.push_back(layer_row(row)); });
  return set;
}

std::vector<std::string> known_validation_sets() {
  return config_names("validation");
}

ValidationSet find_validation_set(const std::string& name_or_path) {
  return read_validation_set(config_path("validation", "set", name_or_path));
}

}  // namespace apb::sim
