#include "reference/core/plans/full.hpp"

namespace apb {

ApbConfig exact_config(const ApbConfig& given) {
  ApbConfig config = given;
  config.anchor_len = 0;
  config.embedded_query_len = 0;
  config.anchor_convention = AnchorConvention::kPaper;
  config.query_insert_at = 0;
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  config.ape_temperature = config.ape_scale = 1;
  return config;
}

ApbConfig full_config(const ApbConfig& given) {
  ApbConfig config = exact_config(given);
  config.block_lens.assign(static_cast<std::size_t>(config.num_ranks), 0);
  config.block_lens.front() = config.doc_len;
  return config;
}

}  // namespace apb
