#include "reference/core/plans/star.hpp"

namespace apb {

ApbConfig star_config(const ApbConfig& given) {
  ApbConfig config = given;
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  config.ape_temperature = config.ape_scale = 1;
  return config;
}

}  // namespace apb
