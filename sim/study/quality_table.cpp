#include "sim/study/quality_table.hpp"

#include "reference/cli/config_files.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/json_node.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {

std::optional<double> QualityTable::score_of(const Job& job) const {
  const SimMethodEntry& entry = entry_of(job.method);
  for (const QualityRow& row : rows) {
    if (row.method != (entry.exact ? "exact" : entry.name)) continue;
    if (row.doc_len != job.lengths.doc_len) continue;
    if (!entry.exact) {
      if (row.ranks != 0 && row.ranks != job.lengths.num_ranks) continue;
      if (row.anchor_len && *row.anchor_len != job.lengths.anchor_len) continue;
      if (row.num_kept && *row.num_kept != job.lengths.num_kept) continue;
    }
    return row.score;
  }
  return std::nullopt;
}

namespace {

QualityRow quality_row(const JsonNode& row) {
  row.expect_keys({"method", "doc_len", "score"}, {"ranks", "anchor_len", "num_kept"});
  QualityRow result;
  result.method = row["method"].text();
  if (result.method != "exact" && !is_sim_method(result.method)) {
    row["method"].refuse("exact, or one of " + sim_method_names());
  }
  result.doc_len = row["doc_len"].count_or_zero();
  result.score = row["score"].number(Allowed::kZeroOrMore);
  if (row.has("ranks")) result.ranks = row["ranks"].count_or_zero();
  if (row.has("anchor_len")) result.anchor_len = row["anchor_len"].count_or_zero();
  if (row.has("num_kept")) result.num_kept = row["num_kept"].count_or_zero();
  return result;
}

}  // namespace

QualityTable find_quality_table(const std::string& name) {
  const std::string path = config_path("quality", "quality", name);
  const nlohmann::json whole = parse_json_object(path, read_whole_file(path));
  const JsonNode root(path, "", whole);
  root.expect_keys({"schema", "version", "title", "source", "metric", "rows"});
  root.expect_schema("apb-quality");
  QualityTable table{root["title"].text(), root["source"].text(), root["metric"].text(), {}};
  for (const JsonNode& row : root["rows"].elements()) table.rows.push_back(quality_row(row));
  return table;
}

}  // namespace apb::sim
