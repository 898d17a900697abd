#include "reference/core/hdf5/file_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace apb {
namespace {

// Cases and candidates.
constexpr std::array<std::string_view, 17> kOfRank{
    "doc_pos",     "position",        "query",           "key",           "value",
    "passing_key", "passing_value",   "passing_doc_pos", "importance",    "kept_positions",
    "score_query", "retaining_input", "retaining_fc1",   "retaining_fc2", "out",
    "lse",         "row_index"};
constexpr std::array<std::string_view, 3> kOfDecode{"query", "out", "lse"};
constexpr std::array<std::string_view, 4> kOfDecodeRank{"key", "value", "out", "lse"};
// Weights and heads.
constexpr std::array<std::string_view, 4> kOfModel{"embedding", "final_norm", "head",
                                                   "rope_divisors"};
constexpr std::array<std::string_view, 14> kOfLayer{
    "attention_norm", "query",    "key",  "value", "query_bias", "key_bias", "value_bias",
    "output",         "ffn_norm", "gate", "up",    "down",       "fc1",      "fc2"};
constexpr std::array<std::string_view, 3> kOfTokenizer{"json", "token_bytes", "token_offsets"};

/// A group and its datasets; # stands for a number.
struct KnownGroup {
  std::string_view name;
  std::span<const std::string_view> datasets;
};

constexpr std::array<KnownGroup, 7> kGroups{{{"rank_#", kOfRank},
                                             {"decode", kOfDecode},
                                             {"decode/rank_#", kOfDecodeRank},
                                             {"", kOfModel},
                                             {"layers", {}},
                                             {"layers/#", kOfLayer},
                                             {"tokenizer", kOfTokenizer}}};

bool is_digit(char letter) {
  return std::isdigit(static_cast<unsigned char>(letter)) != 0;
}

bool matches(std::string_view path, std::string_view pattern) {
  while (!pattern.empty()) {
    if (path.empty()) return false;
    if (pattern.front() == '#') {
      if (!is_digit(path.front())) return false;
      while (!path.empty() && is_digit(path.front())) path.remove_prefix(1);
    } else {
      if (path.front() != pattern.front()) return false;
      path.remove_prefix(1);
    }
    pattern.remove_prefix(1);
  }
  return path.empty();
}

}  // namespace

bool is_known_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view group = slash == std::string_view::npos ? "" : path.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  return std::ranges::any_of(kGroups, [&](const KnownGroup& known) {
    return matches(path, known.name) ||
           (matches(group, known.name) && std::ranges::count(known.datasets, name) > 0);
  });
}

}  // namespace apb
