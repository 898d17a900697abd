#pragma once
/// \file
/// A JSON file read with errors that name file, key, value and what is allowed.

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "reference/core/error.hpp"
#include "reference/core/index.hpp"

namespace apb::sim {

/// What a number may be.
enum class Allowed { kPositive, kZeroOrMore, kCount, kCountOrZero };

/// No quantity in its unit lies beyond; products and quotients of a few stay finite.
inline constexpr double kLeastNumber = 1e-30;
inline constexpr double kMostNumber = 1e30;
/// Largest count in a table's row: below 2^53, so that double and Index hold the same.
inline constexpr double kMaxCount = 1e15;

/// A place in the file: the value there and the words that lead to it.
class JsonNode {
 public:
  JsonNode(const std::string& file, std::string where, const nlohmann::json& value)
      : file_(file), where_(std::move(where)), value_(value) {}

  [[noreturn]] void refuse(std::string_view allowed) const {
    constexpr std::size_t kMostShown = 60;
    std::string shown = value_.dump();
    if (shown.size() > kMostShown) {
      shown = value_.dump(-1, ' ', true).substr(0, kMostShown) + "...";  // ASCII: cut anywhere
    }
    throw BadInput(file_, where_, shown, allowed);
  }

  /// \throws BadInput unless this is an object with these keys and no others
  /// \param optional keys that may be there
  void expect_keys(const std::vector<std::string_view>& keys,
                   const std::vector<std::string_view>& optional = {}) const {
    if (!value_.is_object()) refuse("an object");
    std::vector<std::string_view> known = keys;
    known.insert(known.end(), optional.begin(), optional.end());
    for (const auto& [key, value] : value_.items()) {
      if (std::ranges::find(known, key) == known.end()) {
        throw BadInput(fmt::format("{}: {}: unknown key; known are {}", file_, place_of(key),
                                   fmt::join(known, ", ")));
      }
    }
    for (const std::string_view key : keys) {
      if (!value_.contains(key)) {
        throw BadInput(fmt::format("{}: {} is missing", file_, place_of(key)));
      }
    }
  }

  /// \throws BadInput unless "schema", which is there, is this one, and "version" 1
  void expect_schema(std::string_view name) const {
    (void)(*this)["schema"].one_of(std::array{name});
    if ((*this)["version"].count() != 1) (*this)["version"].refuse("1");
  }

  [[nodiscard]] bool has(std::string_view key) const { return value_.contains(key); }

  /// Names of an object's members.
  [[nodiscard]] std::vector<std::string> keys() const {
    std::vector<std::string> names;
    for (const auto& [key, value] : value_.items()) names.push_back(key);
    return names;
  }

  [[nodiscard]] JsonNode operator[](std::string_view key) const {
    return {file_, place_of(key), value_.at(key)};
  }

  [[nodiscard]] std::vector<JsonNode> elements() const {
    if (!value_.is_array()) refuse("a list");
    std::vector<JsonNode> nodes;
    for (std::size_t i = 0; i < value_.size(); ++i) {
      nodes.emplace_back(file_, fmt::format("{}[{}]", where_, i), value_[i]);
    }
    return nodes;
  }

  [[nodiscard]] std::string text() const {
    if (!value_.is_string() || value_ == "") refuse("a text");
    std::string text = value_.get<std::string>();
    if (std::ranges::any_of(text, [](unsigned char letter) { return letter < ' '; })) {
      refuse("a text without control characters");
    }
    return text;
  }

  [[nodiscard]] bool flag() const {
    if (!value_.is_boolean()) refuse("true or false");
    return value_.get<bool>();
  }

  [[nodiscard]] double number(Allowed allowed) const {
    const double number = value_.is_number() ? value_.get<double>() : NAN;
    const bool whole = number == std::floor(number) && number <= kMaxCount;
    const bool positive = kLeastNumber <= number && number <= kMostNumber;
    if (allowed == Allowed::kPositive && !positive) refuse("a positive number");
    if (allowed == Allowed::kZeroOrMore && !positive && number != 0) {
      refuse("zero or a positive number");
    }
    if (allowed == Allowed::kCount && !(whole && number >= 1)) refuse("a count from 1 on");
    if (allowed == Allowed::kCountOrZero && !(whole && number >= 0)) refuse("a count or 0");
    return number;
  }

  [[nodiscard]] Index count() const { return static_cast<Index>(number(Allowed::kCount)); }
  [[nodiscard]] Index count_or_zero() const {
    return static_cast<Index>(number(Allowed::kCountOrZero));
  }

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
  [[nodiscard]] std::vector<std::vector<JsonNode>> rows(
      const std::array<std::string_view, n>& columns) const {
    if ((*this)["columns"].value_ != nlohmann::json(columns)) {
      (*this)["columns"].refuse(nlohmann::json(columns).dump());
    }
    std::vector<std::vector<JsonNode>> rows;
    for (const JsonNode& row : (*this)["rows"].elements()) {
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
  const nlohmann::json& value_;
};

/// Parses the text of a file.
/// \throws BadInput unless it is a JSON object in which no object has a key twice
[[nodiscard]] inline nlohmann::json parse_json_object(const std::string& path,
                                                      const std::string& text) {
  using nlohmann::json;
  std::vector<std::set<std::string>> open;  // keys of the objects that are being read
  std::string twice;
  const auto note = [&](int /*depth*/, json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const std::string name = parsed.get<std::string>();
      if (!open.back().insert(name).second) twice = name;
    }
    return true;
  };
  json whole = json::parse(text, note, false);
  if (!whole.is_object()) throw BadInput(path + ": must be a JSON object");
  if (!twice.empty()) throw BadInput(fmt::format("{}: {}: given twice", path, twice));
  return whole;
}

}  // namespace apb::sim
