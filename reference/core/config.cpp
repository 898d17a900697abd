#include "reference/core/config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr std::string_view kWhere = "config";

/// Lengths beyond this are mistakes, and keep every product of two lengths far from overflow.
constexpr Index kMaxLength = Index{1} << 30;
constexpr Index kMaxHeads = 1024;
constexpr Index kMaxHeadDim = 4096;
constexpr int kMaxRanks = 4096;

constexpr std::array<std::pair<AnchorConvention, std::string_view>, 2> kConventions{
    {{AnchorConvention::kPaper, "paper"}, {AnchorConvention::kOfficial, "official"}}};

constexpr std::array<std::pair<Compressor, std::string_view>, 5> kCompressors{
    {{Compressor::kNone, "none"},
     {Compressor::kQueryAware, "query_aware"},
     {Compressor::kRandom, "random"},
     {Compressor::kRecent, "recent"},
     {Compressor::kRetainingHead, "retaining_head"}}};

template <class Table>
std::string_view name_of(const Table& table, decltype(table[0].first) value) {
  for (const auto& [known, name] : table) {
    if (known == value) return name;
  }
  return "?";
}

template <class Table>
auto parse(const Table& table, std::string_view key, std::string_view name) {
  std::string allowed;
  for (const auto& [known, known_name] : table) {
    if (known_name == name) return known;
    allowed += (allowed.empty() ? "" : ", ") + std::string(known_name);
  }
  throw BadInput(kWhere, key, name, "one of " + allowed);
}

void require_between(std::string_view key, Index value, Index low, Index high) {
  if (value < low || value > high) {
    throw BadInput(kWhere, key, value, fmt::format("between {} and {}", low, high));
  }
}

void require_positive(std::string_view key, double value) {
  if (!(value > 0.0) || !std::isfinite(value)) {
    throw BadInput(kWhere, key, value, "positive and finite");
  }
}

}  // namespace

std::string_view to_string(AnchorConvention convention) {
  return name_of(kConventions, convention);
}
std::string_view to_string(Compressor compressor) {
  return name_of(kCompressors, compressor);
}

AnchorConvention parse_anchor_convention(std::string_view name) {
  return parse(kConventions, "anchor_convention", name);
}
Compressor parse_compressor(std::string_view name) {
  return parse(kCompressors, "compressor", name);
}

std::vector<Index> ApbConfig::resolved_block_lens() const {
  if (!block_lens.empty()) return block_lens;
  require_between("num_ranks", num_ranks, 1, kMaxRanks);
  const Index block_len = (doc_len + num_ranks - 1) / num_ranks;
  std::vector<Index> lens;
  for (int rank = 0; rank < num_ranks; ++rank) {
    const Index begin = std::min(rank * block_len, doc_len);
    lens.push_back(std::min(begin + block_len, doc_len) - begin);
  }
  return lens;
}

void ApbConfig::validate() const {
  require_between("doc_len", doc_len, 0, kMaxLength);
  require_between("num_ranks", num_ranks, 1, kMaxRanks);
  if (!block_lens.empty()) {
    if (std::ssize(block_lens) != num_ranks) {
      throw BadInput(kWhere, "block_lens", fmt::format("{} lengths", block_lens.size()),
                     fmt::format("one length per rank ({})", num_ranks));
    }
    for (const Index len : block_lens) require_between("block_lens", len, 0, doc_len);
    const Index total = std::accumulate(block_lens.begin(), block_lens.end(), Index{0});
    if (total != doc_len) {
      throw BadInput(kWhere, "block_lens", fmt::format("{} in all", total),
                     fmt::format("lengths that add up to doc_len ({})", doc_len));
    }
  }

  require_between("query_len", query_len, 0, kMaxLength);
  require_between("embedded_query_len", embedded_query_len, 0, kMaxLength);
  require_between("anchor_len", anchor_len, 0, kMaxLength);
  const Index first_block = resolved_block_lens().front();
  if (anchor_len > first_block) {
    throw BadInput(kWhere, "anchor_len", anchor_len,
                   fmt::format("at most rank 0's block ({} tokens)", first_block));
  }
  if (anchor_convention == AnchorConvention::kOfficial) {
    if (embedded_query_len > anchor_len) {
      throw BadInput(kWhere, "embedded_query_len", embedded_query_len,
                     fmt::format("at most anchor_len ({}), which holds it in convention official",
                                 anchor_len));
    }
    require_between("query_insert_at", query_insert_at, 0, anchor_len - embedded_query_len);
  } else if (query_insert_at != 0) {
    throw BadInput(kWhere, "query_insert_at", query_insert_at, "0 in convention paper");
  }

  require_between("num_kept", num_kept, 0, kMaxLength);
  require_between("pool_kernel", pool_kernel, 1, kMaxLength);
  if (pool_kernel % 2 == 0) throw BadInput(kWhere, "pool_kernel", pool_kernel, "odd");
  if (compressor == Compressor::kNone && num_kept != 0) {
    throw BadInput(kWhere, "num_kept", num_kept, "0 with compressor none");
  }
  if (compressor == Compressor::kQueryAware && embedded_query_len == 0) {
    throw BadInput(kWhere, "compressor", "query_aware",
                   "used with an embedded query (embedded_query_len is 0)");
  }

  require_between("num_q_heads", num_q_heads, 1, kMaxHeads);
  require_between("num_kv_heads", num_kv_heads, 1, kMaxHeads);
  if (num_q_heads % num_kv_heads != 0) {
    throw BadInput(kWhere, "num_q_heads", num_q_heads,
                   fmt::format("a multiple of num_kv_heads ({})", num_kv_heads));
  }
  require_between("head_dim", head_dim, 1, kMaxHeadDim);
  require_positive("softmax_scale", softmax_scale);
  require_positive("ape_temperature", ape_temperature);
  require_positive("ape_scale", ape_scale);
}

}  // namespace apb
