#include "reference/core/plans/apb.hpp"

namespace apb {

ApbConfig apb_config(const ApbConfig& given) {
  ApbConfig config = given;
  config.ape_temperature = config.ape_scale = 1;
  return config;
}

}  // namespace apb
