#include "reference/core/plans/apb.hpp"

namespace apb {

ApbConfig apb_config(const ApbConfig& given) {
  ApbConfig config = given;
  if (config.num_kept == 0) config.compressor = Compressor::kNone;  // no scores for nothing
  config.ape_temperature = config.ape_scale = 1;
  return config;
}

}  // namespace apb
