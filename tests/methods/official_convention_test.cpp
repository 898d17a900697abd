// The authors' convention loses tokens (facts D2): those that rank 0 rules out as anchor tokens but
// that the anchor has no room for, because the embedded query takes it.

#include "tests/catch.hpp"
#include "tests/compare.hpp"
#include "tests/methods/attention_system.hpp"

namespace apb {
namespace {

ApbConfig everything_kept(AnchorConvention convention) {
  ApbConfig config = small_config(30, 3);
  config.anchor_convention = convention;
  config.anchor_len = 8;
  config.embedded_query_len = 3;
  config.query_insert_at = convention == AnchorConvention::kOfficial ? 2 : 0;
  config.compressor = Compressor::kRandom;
  config.num_kept = 30;
  return config;
}

/// Whether changing one document token changes the attention of a rank's block.
bool reaches(const ApbConfig& config, Index doc_pos, std::size_t rank) {
  RandomTensors random(121);
  auto tokens = random_tokens<double>(config, random);
  const auto before = run_layer(Method::kApb, config, tokens);
  for (Index head = 0; head < config.num_kv_heads; ++head) {
    tokens.key.view().at(doc_pos, head)[0] += 1;
    tokens.value.view().at(doc_pos, head)[0] += 1;
  }
  const auto after = run_layer(Method::kApb, config, tokens);
  return !bit_equal(after[rank].output.attention, before[rank].output.attention);
}

TEST_CASE("official: tokens without room in the anchor reach no other rank", "[methods]") {
  const ApbConfig config = everything_kept(AnchorConvention::kOfficial);
  for (Index doc_pos = 0; doc_pos < 10; ++doc_pos) {
    CAPTURE(doc_pos);
    const bool lost = doc_pos >= 5 && doc_pos < 8;  // 8 anchor rows hold 3 of the query, 5 tokens
    CHECK(reaches(config, doc_pos, 0));
    CHECK(reaches(config, doc_pos, 1) == !lost);
    CHECK(reaches(config, doc_pos, 2) == !lost);
  }
}

TEST_CASE("paper: every token of a lower rank reaches the higher ranks", "[methods]") {
  const ApbConfig config = everything_kept(AnchorConvention::kPaper);
  for (Index doc_pos = 0; doc_pos < 20; ++doc_pos) {
    CAPTURE(doc_pos);
    CHECK(reaches(config, doc_pos, 2));
    CHECK(reaches(config, doc_pos, 1));
    CHECK(reaches(config, doc_pos, 0) == (doc_pos < 10));
  }
}

}  // namespace
}  // namespace apb
