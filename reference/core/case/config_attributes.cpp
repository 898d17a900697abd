#include "reference/core/case/config_attributes.hpp"

#include <array>
#include <utility>

namespace apb {

void set_config_attributes(Hdf5Writer& file, const ApbConfig& config) {
  file.set_attribute("/", "anchor_convention", to_string(config.anchor_convention));
  file.set_attribute("/", "compressor", to_string(config.compressor));
  for (const auto& [name, value] : std::array<std::pair<const char*, std::int64_t>, 10>{
           {{"doc_len", config.doc_len},
            {"num_ranks", config.num_ranks},
            {"query_len", config.query_len},
            {"embedded_query_len", config.embedded_query_len},
            {"anchor_len", config.anchor_len},
            {"query_insert_at", config.query_insert_at},
            {"num_kept", config.num_kept},
            {"pool_kernel", config.pool_kernel},
            {"num_q_heads", config.num_q_heads},
            {"num_kv_heads", config.num_kv_heads}}}) {
    file.set_attribute("/", name, value);
  }
}

}  // namespace apb
