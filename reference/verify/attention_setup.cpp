#include "reference/verify/attention_setup.hpp"

namespace apb {
namespace {

AttentionSetup plain_reading(const HeadsView<const double>& query, const ApbConfig& config) {
  AttentionSetup setup;
  setup.query = query;
  setup.softmax_scale = config.softmax_scale;
  setup.kv_head = [group = config.group_size()](Index head) { return head / group; };
  return setup;
}

}  // namespace

AttentionSetup prefill_setup(const CaseRank& rank, const ApbConfig& config) {
  const Index anchor = rank.layout.anchor_rows;
  const Index block = rank.layout.block_len;
  AttentionSetup setup = plain_reading(rank.query.view(), config);
  setup.anchor_rows = anchor;
  setup.keys = {
      {rank.key.view().slice(0, anchor), rank.value.view().slice(0, anchor),
       [anchor](Index row) { return row < anchor ? row + 1 : kWhole; }},
      {rank.passing_key.view(), rank.passing_value.view(),
       [anchor](Index row) { return row < anchor ? 0 : kWhole; }},
      {rank.key.view().slice(anchor, block), rank.value.view().slice(anchor, block),
       [anchor](Index row) { return row < anchor ? 0 : row - anchor + 1; }},
  };
  return setup;
}

AttentionSetup decode_setup(const DecodeCase& decode, const std::vector<std::size_t>& ranks,
                            const ApbConfig& config) {
  AttentionSetup setup = plain_reading(decode.query.view(), config);
  for (const std::size_t index : ranks) {
    const DecodeRank& rank = decode.ranks[index];
    const Index document = rank.key.rows() - rank.query_keys;
    setup.keys.push_back({rank.key.view().slice(0, document), rank.value.view().slice(0, document),
                          [](Index) { return kWhole; }});
    setup.keys.push_back({rank.key.view().slice(document, rank.query_keys),
                          rank.value.view().slice(document, rank.query_keys),
                          [](Index row) { return row + 1; }});
  }
  return setup;
}

}  // namespace apb
