// Timings as CSV: a header line with the names of the columns, then numbers.

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/calibrate/measurements.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

/// A cell in a message: short, and without what a terminal would not print.
std::string shown(const std::string& cell) {
  constexpr std::size_t kMost = 40;
  std::string text = cell.substr(0, kMost);
  for (char& letter : text) letter = letter < ' ' || letter > '~' ? '?' : letter;
  return cell.size() > kMost ? text + "..." : text;
}

class CsvFile {
 public:
  explicit CsvFile(std::string path) : path_(std::move(path)) {
    std::string text = read_whole_file(path_);
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // as spreadsheets write it
    text_.str(std::move(text));
    if (!next()) throw BadInput(path_ + ": is empty");
    header_ = cells_;
  }

  /// \returns false at the end. Empty lines and lines that begin with '#' are skipped.
  bool next() {
    for (std::string line; std::getline(text_, line);) {
      ++line_;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.find_first_not_of(" \t") == std::string::npos || line.front() == '#') continue;
      cells_.clear();
      std::istringstream stream(line);
      for (std::string cell; std::getline(stream, cell, ',');) {
        const std::size_t begin = std::min(cell.find_first_not_of(" \t"), cell.size());
        cell.erase(0, begin);
        cell.erase(cell.find_last_not_of(" \t") + 1);
        cells_.push_back(cell);
      }
      if (!header_.empty() && cells_.size() != header_.size()) {
        throw BadInput(fmt::format("{}: line {}: {} values under {} columns", path_, line_,
                                   cells_.size(), header_.size()));
      }
      return true;
    }
    return false;
  }

  [[nodiscard]] bool has(std::string_view column) const {
    return std::ranges::find(header_, column) != header_.end();
  }

  void require(const std::vector<std::string_view>& columns) const {
    for (const std::string_view column : columns) {
      if (has(column)) continue;
      throw BadInput(fmt::format("{}: has no column {} (columns are {}; needed are {})", path_,
                                 column, shown(fmt::format("{}", fmt::join(header_, ", "))),
                                 fmt::join(columns, ", ")));
    }
  }

  [[nodiscard]] const std::string& word(std::string_view column) const {
    return cells_.at(
        static_cast<std::size_t>(std::ranges::find(header_, column) - header_.begin()));
  }

  [[nodiscard]] double positive(std::string_view column) const {
    return number<double>(column, "a positive number");
  }

  [[nodiscard]] Index count(std::string_view column) const {
    return number<Index>(column, "a count from 1 on");
  }

  [[noreturn]] void refuse(std::string_view column, std::string_view allowed) const {
    throw BadInput(fmt::format("{}: line {}", path_, line_), column, shown(word(column)), allowed);
  }

 private:
  template <class Number>
  [[nodiscard]] Number number(std::string_view column, std::string_view allowed) const {
    const std::string& text = word(column);
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0) ||
        value > Number{1'000'000'000'000'000} || static_cast<double>(value) < 1e-15) {
      refuse(column, allowed);
    }
    return value;
  }

  std::string path_;
  std::istringstream text_;
  int line_ = 0;
  std::vector<std::string> header_;
  std::vector<std::string> cells_;
};

}  // namespace

void read_gemm_csv(const std::string& path, Measurements& into) {
  CsvFile file(path);
  const bool has_rate = file.has(kTeraFlopPerSecond.name);
  file.require({"m", "n", "k", has_rate ? kTeraFlopPerSecond.name : "us"});
  while (file.next()) {
    const Index m = file.count("m");
    const Index n = file.count("n");
    const Index k = file.count("k");
    if (has_rate) {
      const double rate = file.positive(kTeraFlopPerSecond.name) * kTeraFlopPerSecond.factor;
      into.gemm.push_back({m, n, k, FlopPerSecond(rate)});
    } else {
      into.gemm.push_back(gemm_point(m, n, k, Seconds(file.positive("us") * 1e-6)));
    }
  }
}

void read_attention_csv(const std::string& path, const std::string& backend, Measurements& into) {
  CsvFile file(path);
  file.require({"mask", "q_len", "kv_len", "q_heads", "kv_heads", "head_dim", "us"});
  while (file.next()) {
    const auto mask = std::ranges::find(kMaskNames, file.word("mask"));
    if (mask == kMaskNames.end()) file.refuse("mask", "causal or full");
    const auto kind = static_cast<MaskKind>(mask - kMaskNames.begin());
    const Index q_heads = file.count("q_heads");
    const Index q_len = file.count("q_len");
    const Index kv_len = file.count("kv_len");
    if (q_heads % file.count("kv_heads") != 0) file.refuse("kv_heads", "a divisor of q_heads");
    if (kind == MaskKind::kCausal && q_len > kv_len) {
      file.refuse("q_len", "at most kv_len under a causal mask");
    }
    const std::string name = file.has("backend") ? file.word("backend") : backend;
    const Index head_dim = file.count("head_dim");
    into.attention_of(name, head_dim)
        .points.push_back(attention_point(kind, q_len, kv_len, q_heads, head_dim,
                                          Seconds(file.positive("us") * 1e-6)));
  }
}

}  // namespace apb::sim
