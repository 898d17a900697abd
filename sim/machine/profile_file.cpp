#include "sim/machine/profile_file.hpp"

#include <nlohmann/json.hpp>

#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/json_node.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

using nlohmann::json;

/// What is read into a profile. Sources are read first, so that all else can be checked by them.
class Reading {
 public:
  explicit Reading(MachineProfile& profile) : profile_(profile) {}

  void read(const JsonNode& root) {
    root.expect_keys(
        {"schema", "version", "name", "title", "sources", "values", "launch", "spread", "tables"});
    root.expect_schema("apb-machine");
    profile_.name = root["name"].text();
    profile_.title = root["title"].text();
    group(root["values"], machine_values(), profile_);
    root["launch"].expect_keys({"eager", "captured"});
    group(root["launch"]["eager"], launch_values(), profile_.eager);
    group(root["launch"]["captured"], launch_values(), profile_.captured);
    group(root["spread"], spread_values(), profile_.spread);
    root["tables"].expect_keys({"gemm", "attention", "collectives"});
    for (const JsonNode& node : root["tables"]["gemm"].elements()) gemm(node);
    for (const JsonNode& node : root["tables"]["attention"].elements()) attention(node);
    for (const JsonNode& node : root["tables"]["collectives"].elements()) collective(node);
  }

 private:
  [[nodiscard]] std::string source(const JsonNode& node) const {
    const std::string name = node.text();
    if (!profile_.sources.contains(name)) node.refuse("among the file's sources");
    return name;
  }

  template <class Group>
  void group(const JsonNode& node, std::span<const ValueEntry<Group>> entries,
             Group& target) const {
    std::vector<std::string_view> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    node.expect_keys(names);
    for (const auto& entry : entries) {
      const JsonNode value = node[entry.name];
      value.expect_keys({"value", "unit", "provenance", "source"});
      (void)value["unit"].one_of(std::array<std::string_view, 1>{entry.unit.name});
      target.*entry.place = {value["value"].number(entry.allowed) * entry.unit.factor,
                             provenance(value["provenance"]), source(value["source"])};
    }
  }

  [[nodiscard]] static Provenance provenance(const JsonNode& node) {
    return static_cast<Provenance>(node.one_of(kProvenanceNames));
  }

  [[nodiscard]] static FlopPerSecond rate(const JsonNode& node) {
    return FlopPerSecond(node.number(Allowed::kPositive) * kTeraFlopPerSecond.factor);
  }

  void gemm(const JsonNode& node) const {
    node.expect_keys({"provenance", "source", "columns", "rows"});
    GemmTable& table = profile_.gemm.emplace_back();
    table.provenance = provenance(node["provenance"]);
    table.source = source(node["source"]);
    for (const auto& row : node.rows(kGemmColumns)) {
      table.points.push_back({row[0].count(), row[1].count(), row[2].count(), rate(row[3])});
    }
  }

  void attention(const JsonNode& node) const {
    node.expect_keys({"backend", "head_dim", "fused_segments", "copies_segments", "provenance",
                      "source", "columns", "rows"},
                     {"ring_merges"});
    AttentionTable& table = profile_.attention.emplace_back();
    table.backend = node["backend"].text();
    table.head_dim = node["head_dim"].count();
    table.fused_segments = node["fused_segments"].flag();
    table.copies_segments = node["copies_segments"].flag();
    if (node.has("ring_merges")) table.ring_merges = node["ring_merges"].flag();
    table.provenance = provenance(node["provenance"]);
    table.source = source(node["source"]);
    for (const auto& row : node.rows(kAttentionColumns)) {
      const auto mask = static_cast<MaskKind>(row[0].one_of(kMaskNames));
      table.points.push_back({mask, row[1].count(), row[2].count(), row[3].count(), rate(row[4])});
      if (mask == MaskKind::kCausal && row[1].count() > row[2].count()) {
        row[1].refuse("at most kv_len under a causal mask");
      }
    }
  }

  void collective(const JsonNode& node) const {
    node.expect_keys({"kind", "num_ranks", "num_nodes", "provenance", "source", "columns", "rows"});
    CollectiveTable& table = profile_.collectives.emplace_back();
    table.kind = static_cast<CollectiveKind>(node["kind"].one_of(kCollectiveNames));
    table.num_ranks = node["num_ranks"].count();
    table.num_nodes = node["num_nodes"].count();
    table.provenance = provenance(node["provenance"]);
    table.source = source(node["source"]);
    if (table.num_ranks < 2) node["num_ranks"].refuse("at least 2");
    if (table.num_nodes > table.num_ranks) node["num_nodes"].refuse("at most num_ranks");
    for (const auto& row : node.rows(kCollectiveColumns)) {
      const double time_s = row[1].number(Allowed::kPositive) * kMicroseconds.factor;
      const Bytes size(row[0].number(Allowed::kCount));
      if (!table.points.empty() && size <= table.points.back().size) {
        row[0].refuse("more than in the row before");
      }
      table.points.push_back({size, Seconds(time_s)});
    }
  }

  MachineProfile& profile_;
};

}  // namespace

MachineProfile read_machine_profile(const std::string& path) {
  const json whole = parse_json_object(path, read_whole_file(path));
  MachineProfile profile;
  const json sources = whole.value("sources", json::object());
  if (!sources.is_object()) JsonNode(path, "sources", sources).refuse("an object");
  for (const auto& [key, value] : sources.items()) {
    profile.sources[key] = JsonNode(path, "sources." + key, value).text();
  }
  Reading(profile).read(JsonNode(path, "", whole));
  return profile;
}

}  // namespace apb::sim
