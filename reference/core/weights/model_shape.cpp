#include "reference/core/weights/model_shape.hpp"

#include <cmath>

namespace apb {

void set_model_shape(ApbConfig& config, const ModelShape& model) {
  config.num_q_heads = model.num_q_heads;
  config.num_kv_heads = model.num_kv_heads;
  config.head_dim = model.head_dim;
  config.softmax_scale = 1.0 / std::sqrt(static_cast<double>(model.head_dim));
}

}  // namespace apb
