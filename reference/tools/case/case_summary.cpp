#include "reference/tools/case/case_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/cli/text_table.hpp"

namespace apb {
namespace {

/// Ranks that are listed; a screen has room for no more.
constexpr std::size_t kListed = 12;

Index count_nan(const HeadsTensor<double>& tensor) {
  return std::count_if(tensor.values().begin(), tensor.values().end(),
                       [](double value) { return std::isnan(value); });
}

std::string rank_line(const CaseRank& rank) {
  std::string extras;
  const auto add = [&](bool there, std::string_view name) {
    if (there) extras += (extras.empty() ? "" : ", ") + std::string(name);
  };
  add(rank.importance.size() > 0, "importance");
  add(rank.score_query.has_value(), "score_query");
  add(rank.retaining.has_value(), "retaining head");
  add(rank.out.has_value(), "out");
  add(rank.lse.has_value(), "lse");
  const Index nan = count_nan(rank.query) + count_nan(rank.key) + count_nan(rank.value);
  if (nan > 0) add(true, counted(nan, "NaN"));
  return without_trailing_spaces(fmt::format(
      "{:>4}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n", rank.rank,
      with_separators(rank.layout.anchor_rows), with_separators(rank.layout.passing_rows),
      with_separators(rank.layout.block_len), with_separators(rank.layout.num_kept), extras));
}

}  // namespace

std::string summary(const std::string& path, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  std::string text = fmt::format(
      "{}: {}, {} on {}, {}\n", path, case_file.method, counted(config.doc_len, "token"),
      counted(config.num_ranks, "rank"), to_string(case_file.value_type));
  text += fmt::format(
      "{} and {} of {}, softmax scale {:.6g}\n", counted(config.num_q_heads, "query head"),
      counted(config.num_kv_heads, "KV head"), config.head_dim, config.softmax_scale);
  text += fmt::format("anchor {} ({}), {} of {} embedded, compressor {}, pool {}, keep {}\n\n",
                      config.anchor_len, to_string(config.anchor_convention),
                      config.embedded_query_len, counted(config.query_len, "query token"),
                      to_string(config.compressor), config.pool_kernel, config.num_kept);
  text += "rank     anchor    passing      block       kept\n";
  const std::size_t listed = std::min(case_file.ranks.size(), kListed);
  for (std::size_t i = 0; i < listed; ++i) text += rank_line(case_file.ranks[i]);
  if (listed < case_file.ranks.size()) {
    text += fmt::format("   … and {} more\n", case_file.ranks.size() - listed);
  }
  if (case_file.decode) {
    Index cached = 0;
    for (const DecodeRank& rank : case_file.decode->ranks) cached += rank.key.rows();
    text += fmt::format("query pass: {} over {}\n", counted(config.query_len, "row"),
                        counted(cached, "cached row"));
  }
  return text;
}

}  // namespace apb
