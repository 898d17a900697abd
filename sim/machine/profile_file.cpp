#include "sim/machine/profile_file.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

using nlohmann::json;

/// Largest count in a table's row: below 2^53, so that double and Index hold the same.
constexpr double kMaxCount = 1e15;

/// A place in the file: the value there and the words that lead to it.
class Node {
 public:
  Node(const std::string& file, std::string where, const json& value)
      : file_(file), where_(std::move(where)), value_(value) {}

  [[noreturn]] void refuse(std::string_view allowed) const {
    throw BadInput(file_, where_, value_.dump(), allowed);
  }

  /// \throws BadInput unless this is an object with these keys and no others
  void expect_keys(const std::vector<std::string_view>& keys) const {
    if (!value_.is_object()) refuse("an object");
    for (const auto& [key, value] : value_.items()) {
      if (std::ranges::find(keys, key) == keys.end()) {
        throw BadInput(fmt::format("{}: {}: unknown key; known are {}", file_, place_of(key),
                                   fmt::join(keys, ", ")));
      }
    }
    for (const std::string_view key : keys) {
      if (!value_.contains(key)) {
        throw BadInput(fmt::format("{}: {} is missing", file_, place_of(key)));
      }
    }
  }

  [[nodiscard]] Node operator[](std::string_view key) const {
    return {file_, place_of(key), value_.at(key)};
  }

  [[nodiscard]] std::vector<Node> elements() const {
    if (!value_.is_array()) refuse("a list");
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < value_.size(); ++i) {
      nodes.emplace_back(file_, fmt::format("{}[{}]", where_, i), value_[i]);
    }
    return nodes;
  }

  [[nodiscard]] std::string text() const {
    if (!value_.is_string() || value_ == "") refuse("a text");
    return value_.get<std::string>();
  }

  [[nodiscard]] bool flag() const {
    if (!value_.is_boolean()) refuse("true or false");
    return value_.get<bool>();
  }

  [[nodiscard]] double number(Allowed allowed) const {
    const double number = value_.is_number() ? value_.get<double>() : NAN;
    const bool whole = number == std::floor(number) && number <= kMaxCount;
    if (allowed == Allowed::kPositive && !(number > 0)) refuse("a positive number");
    if (allowed == Allowed::kZeroOrMore && !(number >= 0)) refuse("zero or a positive number");
    if (allowed == Allowed::kCount && !(whole && number >= 1)) refuse("a count from 1 on");
    if (allowed == Allowed::kCountOrZero && !(whole && number >= 0)) refuse("a count or 0");
    return number;
  }

  [[nodiscard]] Index count() const { return static_cast<Index>(number(Allowed::kCount)); }

  template <std::size_t n>
  [[nodiscard]] std::size_t one_of(const std::array<std::string_view, n>& names) const {
    const auto found = value_.is_string()
                           ? std::ranges::find(names, value_.get_ref<const std::string&>())
                           : names.end();
    if (found == names.end()) refuse(fmt::format("one of {}", fmt::join(names, ", ")));
    return static_cast<std::size_t>(found - names.begin());
  }

  /// The rows of a table whose columns are these.
  template <std::size_t n>
  [[nodiscard]] std::vector<std::vector<Node>> rows(
      const std::array<std::string_view, n>& columns) const {
    if ((*this)["columns"].value_ != json(columns)) {
      (*this)["columns"].refuse(json(columns).dump());
    }
    std::vector<std::vector<Node>> rows;
    for (const Node& row : (*this)["rows"].elements()) {
      rows.push_back(row.elements());
      if (rows.back().size() != n) row.refuse(fmt::format("{} values", n));
    }
    if (rows.empty()) (*this)["rows"].refuse("at least one row (or leave the table out)");
    return rows;
  }

 private:
  [[nodiscard]] std::string place_of(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

  const std::string& file_;
  std::string where_;
  const json& value_;
};

/// What is read into a profile. Sources are read first, so that all else can be checked by them.
class Reading {
 public:
  explicit Reading(MachineProfile& profile) : profile_(profile) {}

  void read(const Node& root) {
    root.expect_keys(
        {"schema", "version", "name", "title", "sources", "values", "launch", "spread", "tables"});
    (void)root["schema"].one_of(std::array<std::string_view, 1>{"apb-machine"});
    if (root["version"].count() != 1) root["version"].refuse("1");
    profile_.name = root["name"].text();
    profile_.title = root["title"].text();
    group(root["values"], machine_values(), profile_);
    root["launch"].expect_keys({"eager", "captured"});
    group(root["launch"]["eager"], launch_values(), profile_.eager);
    group(root["launch"]["captured"], launch_values(), profile_.captured);
    group(root["spread"], spread_values(), profile_.spread);
    root["tables"].expect_keys({"gemm", "attention", "collectives"});
    for (const Node& node : root["tables"]["gemm"].elements()) gemm(node);
    for (const Node& node : root["tables"]["attention"].elements()) attention(node);
    for (const Node& node : root["tables"]["collectives"].elements()) collective(node);
  }

 private:
  [[nodiscard]] std::string source(const Node& node) const {
    const std::string name = node.text();
    if (!profile_.sources.contains(name)) node.refuse("among the file's sources");
    return name;
  }

  template <class Group>
  void group(const Node& node, std::span<const ValueEntry<Group>> entries, Group& target) const {
    std::vector<std::string_view> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    node.expect_keys(names);
    for (const auto& entry : entries) {
      const Node value = node[entry.name];
      value.expect_keys({"value", "unit", "provenance", "source"});
      (void)value["unit"].one_of(std::array<std::string_view, 1>{entry.unit.name});
      target.*entry.place = {value["value"].number(entry.allowed) * entry.unit.factor,
                             provenance(value["provenance"]), source(value["source"])};
    }
  }

  [[nodiscard]] static Provenance provenance(const Node& node) {
    return static_cast<Provenance>(node.one_of(kProvenanceNames));
  }

  [[nodiscard]] static FlopPerSecond rate(const Node& node) {
    return FlopPerSecond(node.number(Allowed::kPositive) * kTeraFlopPerSecond.factor);
  }

  void gemm(const Node& node) const {
    node.expect_keys({"provenance", "source", "columns", "rows"});
    GemmTable& table = profile_.gemm.emplace_back();
    table.provenance = provenance(node["provenance"]);
    table.source = source(node["source"]);
    for (const auto& row : node.rows(kGemmColumns)) {
      table.points.push_back({row[0].count(), row[1].count(), row[2].count(), rate(row[3])});
    }
  }

  void attention(const Node& node) const {
    node.expect_keys({"backend", "head_dim", "fused_segments", "copies_segments", "provenance",
                      "source", "columns", "rows"});
    AttentionTable& table = profile_.attention.emplace_back();
    table.backend = node["backend"].text();
    table.head_dim = node["head_dim"].count();
    table.fused_segments = node["fused_segments"].flag();
    table.copies_segments = node["copies_segments"].flag();
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

  void collective(const Node& node) const {
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
  const json whole = json::parse(read_whole_file(path), nullptr, false);
  if (!whole.is_object()) throw BadInput(path + ": must be a JSON object");
  MachineProfile profile;
  const json sources = whole.value("sources", json::object());
  if (!sources.is_object()) throw BadInput(path, "sources", sources.dump(), "an object");
  for (const auto& [key, value] : sources.items()) {
    profile.sources[key] = Node(path, "sources." + key, value).text();
  }
  Reading(profile).read(Node(path, "", whole));
  return profile;
}

std::vector<std::string> known_machines() {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::directory_iterator files(own_file("configs/machines"), error);
  for (const auto& entry : files) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string machine_path(const std::string& name_or_path) {
  if (name_or_path.ends_with(".json")) return name_or_path;
  const std::vector<std::string> known = known_machines();
  if (std::ranges::find(known, name_or_path) == known.end()) {
    throw BadInput("command line", "machine", name_or_path,
                   fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return own_file(fmt::format("configs/machines/{}.json", name_or_path));
}

MachineProfile find_machine(const std::string& name_or_path) {
  return read_machine_profile(machine_path(name_or_path));
}

}  // namespace apb::sim
