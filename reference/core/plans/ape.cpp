#include "reference/core/plans/ape.hpp"

#include <algorithm>

#include "reference/core/plans/full.hpp"

namespace apb {

ApbConfig ape_config(const ApbConfig& given) {
  ApbConfig config = exact_config(given);
  config.anchor_len = given.anchor_len;
  config.ape_temperature = given.ape_temperature;
  config.ape_scale = given.ape_scale;
  return config;
}

BlockLayout ape_layout(const ApbConfig& config) {
  BlockLayout layout = make_block_layout(config);
  layout.query_position = config.anchor_len;
  for (RankLayout& rank : layout.ranks) {
    for (RowRun& run : rank.runs) {
      const bool context_only = run.segment == Segment::kBlock && &rank != &layout.ranks.front();
      if (context_only) run.first_position = config.anchor_len;
      layout.query_position = std::max(layout.query_position, run.first_position + run.count);
    }
  }
  return layout;
}

}  // namespace apb
