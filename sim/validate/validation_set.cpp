#include "sim/validate/validation_set.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

using Json = nlohmann::json;

constexpr Index kMaxRanks = 4096;

/// Reads members of one object and refuses those that nobody asked for.
class Reader {
 public:
  Reader(std::string path, std::string where, const Json& object)
      : path_(std::move(path)), where_(std::move(where)), object_(object) {
    if (!object_.is_object()) refuse("", "an object");
  }

  template <class Value>
  [[nodiscard]] Value get(const char* key) {
    seen_.emplace_back(key);
    if (!object_.contains(key)) refuse(key, "there");
    const Json& value = object_.at(key);
    // The library would turn 2.5 into 2 and true into 1.
    if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>) {
      if (std::is_integral_v<Value> ? !value.is_number_integer() : !value.is_number()) {
        refuse(key, std::is_integral_v<Value> ? "a whole number" : "a number");
      }
    }
    try {
      return value.template get<Value>();
    } catch (const Json::exception&) {
      refuse(key, "of another type");
    }
  }
  template <class Value>
  [[nodiscard]] Value get(const char* key, Value otherwise) {
    seen_.emplace_back(key);
    return object_.contains(key) ? get<Value>(key) : otherwise;
  }
  [[nodiscard]] const Json* list(const char* key) {
    seen_.emplace_back(key);
    if (!object_.contains(key)) return nullptr;
    if (!object_.at(key).is_array()) refuse(key, "a list");
    return &object_.at(key);
  }
  /// A count of tokens.
  [[nodiscard]] Index count(const char* key, Index otherwise = -1) {
    const Index number = otherwise < 0 ? get<Index>(key) : get<Index>(key, otherwise);
    if (number < 0) refuse(key, "at least 0");
    return number;
  }
  [[nodiscard]] Index ranks() {
    const auto number = get<Index>("ranks");
    if (number < 1 || number > kMaxRanks) refuse("ranks", fmt::format("1 to {}", kMaxRanks));
    return number;
  }
  [[nodiscard]] std::string method() {
    const auto name = get<std::string>("method");
    if (!is_sim_method(name)) refuse("method", "one of " + sim_method_names());
    return name;
  }
  /// An error, or a share.
  [[nodiscard]] double bound(const char* key, std::optional<double> otherwise = std::nullopt) {
    const double number = otherwise ? get<double>(key, *otherwise) : get<double>(key);
    if (number < 0) refuse(key, "at least 0");
    return number;
  }
  void finish() {
    for (const auto& [key, value] : object_.items()) {
      if (std::ranges::find(seen_, key) == seen_.end()) {
        refuse(key.c_str(), fmt::format("one of {}", fmt::join(seen_, ", ")));
      }
    }
  }
  [[noreturn]] void refuse(const char* key, const std::string& allowed) const {
    const std::string value = object_.contains(key) ? object_.at(key).dump() : "missing";
    throw BadInput(path_, where_ + key, value, allowed);
  }

 private:
  std::string path_;
  std::string where_;
  const Json& object_;
  std::vector<std::string> seen_;
};

PrefillRow prefill_row(Reader row) {
  PrefillRow result;
  result.method = row.method();
  result.ranks = row.ranks();
  result.doc_len = row.count("doc_len");
  result.anchor_len = row.count("anchor_len", 0);
  result.num_kept = row.count("num_kept", 0);
  result.unexplained = row.get<std::string>("unexplained", "");
  const bool out_of_memory = row.get<bool>("out_of_memory", false);
  const double seconds = row.get<double>("seconds", 0.0);
  if (out_of_memory == (seconds > 0)) row.refuse("seconds", "above 0, or out_of_memory: true");
  if (!out_of_memory) result.measured = Seconds(seconds);
  row.finish();
  return result;
}

PartsRow parts_row(Reader row) {
  PartsRow result;
  result.method = row.method();
  result.ranks = row.ranks();
  result.doc_len = row.count("doc_len");
  result.anchor_len = row.count("anchor_len", 0);
  result.num_kept = row.count("num_kept", 0);
  for (const auto& [name, time] : row.get<std::map<std::string, double>>("parts_ms")) {
    if (std::ranges::find(kPartNames, name) == kPartNames.end() || !(time > 0)) {
      row.refuse("parts_ms", fmt::format("times above 0 of {}", fmt::join(kPartNames, ", ")));
    }
    result.parts.emplace_back(name, Seconds(1e-3 * time));
  }
  row.finish();
  return result;
}

AttentionRow attention_row(Reader row) {
  AttentionRow result;
  result.backend = row.get<std::string>("backend");
  result.rank = row.count("rank");
  result.anchor_len = row.count("anchor_len");
  result.num_kept = row.count("num_kept");
  result.block_len = row.count("block_len");
  if (result.block_len == 0) row.refuse("block_len", "at least 1");
  result.measured = Seconds(1e-3 * row.get<double>("ms"));
  if (!(result.measured.number > 0)) row.refuse("ms", "above 0");
  row.finish();
  return result;
}

}  // namespace

ValidationSet read_validation_set(const std::string& path) {
  Json json;
  try {
    json = Json::parse(read_whole_file(path));
  } catch (const Json::exception& error) {
    throw BadInput(fmt::format("{}: not JSON: {}", path, error.what()));
  }
  Reader file(path, "", json);
  ValidationSet set;
  if (file.get<std::string>("schema") != "apb-validation") file.refuse("schema", "apb-validation");
  if (file.get<int>("version") != 1) file.refuse("version", "1");
  set.name = std::filesystem::path(path).stem().string();
  set.title = file.get<std::string>("title");
  set.source = file.get<std::string>("source");
  set.notes = file.get<std::vector<std::string>>("notes", {});
  set.machine = file.get<std::string>("machine");
  set.model = file.get<std::string>("model");
  set.backend = file.get<std::string>("backend", "");
  set.query_len = file.count("query_len", 0);
  set.overlap = file.get<double>("overlap", 0.0);
  if (!(set.overlap >= 0 && set.overlap <= 1)) file.refuse("overlap", "0 to 1");
  set.order_counts = file.get<bool>("order_counts", false);
  const Json bounds_json = file.get<Json>("bounds");
  Reader bounds(path, "bounds.", bounds_json);
  set.bounds = {bounds.bound("mean_error"), bounds.bound("worst_error"),
                bounds.bound("coverage", set.bounds.coverage),
                bounds.bound("half_width", set.bounds.half_width)};
  bounds.finish();
  const auto each = [&](const char* key, auto&& take) {
    const Json* rows = file.list(key);
    if (rows == nullptr) return;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      take(Reader(path, fmt::format("{}[{}].", key, i), (*rows)[i]));
    }
  };
  each("prefill", [&](Reader row) { set.prefill.push_back(prefill_row(std::move(row))); });
  each("parts", [&](Reader row) { set.parts.push_back(parts_row(std::move(row))); });
  each("attention", [&](Reader row) { set.attention.push_back(attention_row(std::move(row))); });
  file.finish();
  return set;
}

std::vector<std::string> known_validation_sets() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(own_file("configs/validation"), error)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

ValidationSet find_validation_set(const std::string& name) {
  if (name.ends_with(".json")) return read_validation_set(name);
  const std::vector<std::string> known = known_validation_sets();
  if (std::ranges::find(known, name) == known.end()) {
    throw BadInput("command line", "set", name,
                   fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return read_validation_set(own_file(fmt::format("configs/validation/{}.json", name)));
}

}  // namespace apb::sim
