// A profile as the text of its file: one line a value and a row, as a person would write it.

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "sim/machine/profile_file.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

using Json = nlohmann::ordered_json;

/// A number without ".0" behind a whole one.
Json number_json(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e15) return static_cast<Index>(number);
  return number;
}

Json number_json(double number, const FileUnit& unit) {
  return number_json(in_file_unit(number, unit));
}

class Writing {
 public:
  explicit Writing(const MachineProfile& profile) : profile_(profile) {}

  [[nodiscard]] Json whole() const {
    Json tables{
        {"gemm", Json::array()}, {"attention", Json::array()}, {"collectives", Json::array()}};
    for (const GemmTable& table : profile_.gemm) tables["gemm"].push_back(gemm(table));
    for (const AttentionTable& table : profile_.attention) {
      tables["attention"].push_back(attention(table));
    }
    for (const CollectiveTable& table : profile_.collectives) {
      tables["collectives"].push_back(collective(table));
    }
    return {{"schema", "apb-machine"},
            {"version", 1},
            {"name", profile_.name},
            {"title", profile_.title},
            {"sources", profile_.sources},
            {"values", group(machine_values(), profile_)},
            {"launch",
             {{"eager", group(launch_values(), profile_.eager)},
              {"captured", group(launch_values(), profile_.captured)}}},
            {"spread", group(spread_values(), profile_.spread)},
            {"tables", std::move(tables)}};
  }

 private:
  [[nodiscard]] const std::string& source(const std::string& name) const {
    if (!profile_.sources.contains(name)) {
      throw std::invalid_argument("machine profile: source not listed: " + name);
    }
    return name;
  }

  template <class Group>
  [[nodiscard]] Json group(std::span<const ValueEntry<Group>> entries, const Group& from) const {
    Json values;
    for (const auto& entry : entries) {
      const SourcedValue& value = from.*entry.place;
      values[std::string(entry.name)] = {{"value", number_json(value.number, entry.unit)},
                                         {"unit", entry.unit.name},
                                         {"provenance", to_string(value.provenance)},
                                         {"source", source(value.source)}};
    }
    return values;
  }

  template <class Table, class Columns, class Row>
  void add_rows(Json& json, const Table& table, const Columns& columns, const Row& row) const {
    json["provenance"] = to_string(table.provenance);
    json["source"] = source(table.source);
    json["columns"] = columns;
    json["rows"] = Json::array();
    for (const auto& point : table.points) json["rows"].push_back(row(point));
  }

  [[nodiscard]] Json gemm(const GemmTable& table) const {
    Json json;
    add_rows(json, table, kGemmColumns, [](const GemmPoint& point) {
      return Json::array(
          {point.m, point.n, point.k, number_json(point.rate.number, kTeraFlopPerSecond)});
    });
    return json;
  }

  [[nodiscard]] Json attention(const AttentionTable& table) const {
    Json json{{"backend", table.backend},
              {"head_dim", table.head_dim},
              {"fused_segments", table.fused_segments},
              {"copies_segments", table.copies_segments}};
    if (table.ring_merges) json["ring_merges"] = true;
    add_rows(json, table, kAttentionColumns, [](const AttentionPoint& point) {
      return Json::array({kMaskNames.at(static_cast<std::size_t>(point.mask)), point.q_len,
                          point.kv_len, point.num_q_heads,
                          number_json(point.rate.number, kTeraFlopPerSecond)});
    });
    return json;
  }

  [[nodiscard]] Json collective(const CollectiveTable& table) const {
    Json json{{"kind", to_string(table.kind)},
              {"num_ranks", table.num_ranks},
              {"num_nodes", table.num_nodes}};
    add_rows(json, table, kCollectiveColumns, [](const CollectivePoint& point) {
      return Json::array(
          {number_json(point.size.number), number_json(point.time.number, kMicroseconds)});
    });
    return json;
  }

  const MachineProfile& profile_;
};

/// What holds nothing else stands on one line.
bool is_leaf(const Json& json) {
  for (const Json& value : json) {
    if (value.is_structured()) return false;
  }
  return true;
}

std::string printed(const Json& json, std::size_t depth, bool break_leaf) {
  if (!json.is_structured()) return json.dump();
  const bool breaks = break_leaf || !is_leaf(json);
  const std::string indent = breaks ? "\n" + std::string(2 * (depth + 1), ' ') : "";
  const std::string between = breaks ? "," : ", ";
  std::string text;
  for (const auto& [key, value] : json.items()) {
    if (!text.empty()) text += between;
    text += indent;
    if (json.is_object()) text += Json(key).dump() + ": ";
    text += printed(value, depth + 1, key == "sources");
  }
  if (breaks && !text.empty()) text += "\n" + std::string(2 * depth, ' ');
  return json.is_object() ? "{" + text + "}" : "[" + text + "]";
}

}  // namespace

std::string machine_profile_json(const MachineProfile& profile) {
  return printed(Writing(profile).whole(), 0, true) + "\n";
}

}  // namespace apb::sim
