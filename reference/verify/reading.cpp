#include "reference/verify/reading.hpp"

#include <limits>

namespace apb {
namespace {

constexpr Index kWhole = std::numeric_limits<Index>::max();

Reading plain_reading(const HeadsView<const double>& query, const ApbConfig& config) {
  Reading reading;
  reading.query = query;
  reading.softmax_scale = config.softmax_scale;
  reading.kv_head = [group = config.group_size()](Index head) { return head / group; };
  return reading;
}

}  // namespace

Reading prefill_reading(const CaseRank& rank, const ApbConfig& config) {
  const Index anchor = rank.layout.anchor_rows;
  const Index block = rank.layout.block_len;
  Reading reading = plain_reading(rank.query.view(), config);
  reading.anchor_rows = anchor;
  reading.keys = {
      {rank.key.view().slice(0, anchor), rank.value.view().slice(0, anchor),
       [anchor](Index row) { return row < anchor ? row + 1 : kWhole; }},
      {rank.passing_key.view(), rank.passing_value.view(),
       [anchor](Index row) { return row < anchor ? 0 : kWhole; }},
      {rank.key.view().slice(anchor, block), rank.value.view().slice(anchor, block),
       [anchor](Index row) { return row < anchor ? 0 : row - anchor + 1; }},
  };
  return reading;
}

Reading decode_reading(const DecodeCase& decode, const std::vector<std::size_t>& ranks,
                       const ApbConfig& config) {
  Reading reading = plain_reading(decode.query.view(), config);
  for (const std::size_t index : ranks) {
    const DecodeRank& rank = decode.ranks[index];
    const Index document = rank.key.rows() - rank.query_keys;
    reading.keys.push_back({rank.key.view().slice(0, document),
                            rank.value.view().slice(0, document), [](Index) { return kWhole; }});
    reading.keys.push_back({rank.key.view().slice(document, rank.query_keys),
                            rank.value.view().slice(document, rank.query_keys),
                            [](Index row) { return row + 1; }});
  }
  return reading;
}

}  // namespace apb
