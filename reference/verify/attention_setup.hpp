#pragma once
/// \file
/// What attention rows read: query, stretches of keys, scale and head map. The right setup of a
/// case gives the truth; a known mistake is another setup of the same case.

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "reference/core/case/case_file.hpp"
#include "reference/core/heads_tensor.hpp"

namespace apb {

/// Keys that lie one after another. A row sees a prefix of them.
struct KeyStretch {
  HeadsView<const double> key;              ///< [keys, num_kv_heads, head_dim]
  HeadsView<const double> value;            ///< as key; no rows: the values are read as 0
  std::function<Index(Index row)> visible;  ///< keys seen by a query row; clipped to 0 … keys
};

/// "All keys" as an answer of KeyStretch::visible.
inline constexpr Index kWhole = std::numeric_limits<Index>::max();

/// Everything that decides out and lse of any row.
struct AttentionSetup {
  HeadsView<const double> query;  ///< [rows, num_q_heads, head_dim]
  std::vector<KeyStretch> keys;   ///< in key order
  double softmax_scale = 1;
  std::function<Index(Index head)> kv_head;  ///< KV head that a query head reads
  double lse_factor = 1;  ///< lse is given times this (1 / ln 2 makes a base-2 one)
  Index anchor_rows = 0;  ///< query rows that belong to the anchor

  std::vector<std::shared_ptr<const HeadsTensor<double>>> owned;  ///< what views may point into
};

/// Places of the stretches in a prefill setup.
enum PrefillStretch : std::size_t { kAnchorKeys = 0, kPassingKeys = 1, kBlockKeys = 2 };

/// A rank's prefill: rows [anchor, block], keys [anchor, passing, block]. Anchor row i sees anchor
/// rows 0…i; block row i sees anchor and passing block whole and block rows 0…i.
/// \param rank must outlive the setup
[[nodiscard]] AttentionSetup prefill_setup(const CaseRank& rank, const ApbConfig& config);

/// A query pass over some ranks' caches: all of them together are the merged truth, one alone is
/// that rank's partial. The last `query_keys` of a cache are seen causally, the others whole.
/// \param decode must outlive the setup
/// \param ranks  indices into decode.ranks
[[nodiscard]] AttentionSetup decode_setup(const DecodeCase& decode,
                                          const std::vector<std::size_t>& ranks,
                                          const ApbConfig& config);

}  // namespace apb
