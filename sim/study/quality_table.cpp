#include "sim/study/quality_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
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

QualityTable find_quality_table(const std::string& name) {
  const std::string path =
      name.ends_with(".json") ? name : own_file(fmt::format("configs/quality/{}.json", name));
  const std::string text = read_whole_file(path);
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("schema") != "apb-quality" || json.at("version") != 1) {
      throw BadInput(path, "schema, version", json.at("schema").dump(), "apb-quality, 1");
    }
    QualityTable table{json.at("title"), json.at("source"), json.at("metric"), {}};
    for (const auto& row : json.at("rows")) {
      QualityRow one;
      one.method = row.at("method");
      one.doc_len = row.at("doc_len");
      one.ranks = row.value("ranks", Index{0});
      if (row.contains("anchor_len")) one.anchor_len = row.at("anchor_len").get<Index>();
      if (row.contains("num_kept")) one.num_kept = row.at("num_kept").get<Index>();
      one.score = row.at("score");
      const auto known = [&](const SimMethodEntry& entry) { return entry.name == one.method; };
      if (one.method != "exact" && std::none_of(kSimMethods.begin(), kSimMethods.end(), known)) {
        throw BadInput(path, "method", one.method, "exact, or one of " + sim_method_names());
      }
      if (!row.at("doc_len").is_number_integer()) {
        throw BadInput(path, "doc_len", row.at("doc_len").dump(), "a whole number");
      }
      table.rows.push_back(std::move(one));
    }
    return table;
  } catch (const nlohmann::json::exception& error) {
    throw BadInput(fmt::format("{}: not a quality table: {}", path, error.what()));
  }
}

}  // namespace apb::sim
