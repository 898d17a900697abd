// What a run takes at least, by hand; a run that this machine has no memory for is refused.

#include "reference/model/run_memory.hpp"

#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"

namespace apb {
namespace {

ModelShape small_model() {
  return {.name = "small",
          .num_layers = 2,
          .hidden_size = 8,
          .intermediate_size = 20,
          .num_q_heads = 4,
          .num_kv_heads = 2,
          .head_dim = 4,
          .vocab_size = 100};
}

ApbConfig config_of(Index doc_len) {
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = 1;
  config.query_len = 1;
  set_model_shape(config, small_model());
  return method_config(Method::kFull, config);
}

TEST_CASE("weights, caches and a layer's rows are counted", "[memory]") {
  // 800 of the embedding; a layer's products 8 x (16 + 8 + 8 + 16) and 3 x 8 x 20.
  const double weights = 800 + 2 * (8 * 48 + 480);
  // A token's keys and values, 2 x 2 x 4 in each layer.
  const double cached = 2 * 16;
  // A row: hidden twice, keys and values, queries and the output.
  const double row = 16 + 16 + 32;
  CHECK(least_run_bytes(Method::kFull, config_of(10), small_model(), 4, 1) ==
        4 * (weights + 10 * (cached + row)));
  CHECK(least_run_bytes(Method::kFull, config_of(10), small_model(), 8, 3) ==
        8 * (3 * weights + 10 * (cached + row)));
}

TEST_CASE("a run beyond this machine's memory is refused before it begins", "[memory]") {
  CHECK_NOTHROW(require_run_memory(Method::kFull, config_of(10), small_model(), 4, 1));
  ModelShape deep = small_model();
  deep.num_layers = 4096;  // 281 TB of keys and values
  CHECK_THROWS_AS(require_run_memory(Method::kFull, config_of(Index{1} << 30U), deep, 4, 1),
                  CannotRun);
}

}  // namespace
}  // namespace apb
