// The authors' convention loses tokens: those that rank 0 rules out as anchor tokens but that the
// anchor has no room for, because the embedded query takes it (docs/authors-code.md, D2).

#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

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
bool reaches(const ApbConfig& config, Index doc_pos, std::size_t rank,
             Method method = Method::kApb) {
  RandomTensors random(121);
  auto tokens = random_tokens<double>(config, random);
  const auto before = run_layer(method, config, tokens);
  for (Index head = 0; head < config.num_kv_heads; ++head) {
    tokens.key.view().at(doc_pos, head)[0] += 1;
    tokens.value.view().at(doc_pos, head)[0] += 1;
  }
  const auto after = run_layer(method, config, tokens);
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

TEST_CASE("official: Star's anchor loses what the query takes the room of", "[methods]") {
  ApbConfig official = everything_kept(AnchorConvention::kOfficial);
  ApbConfig paper = everything_kept(AnchorConvention::kPaper);
  for (ApbConfig* config : {&official, &paper}) *config = method_config(Method::kStar, *config);
  for (Index doc_pos = 0; doc_pos < 10; ++doc_pos) {
    CAPTURE(doc_pos);
    for (const std::size_t rank : {1U, 2U}) {
      CHECK(reaches(official, doc_pos, rank, Method::kStar) == (doc_pos < 5));
      CHECK(reaches(paper, doc_pos, rank, Method::kStar) == (doc_pos < 8));
    }
  }
}

TEST_CASE("official: anchor rows are the query between document tokens", "[methods]") {
  // Star's rows by hand: 2 document tokens, 3 query rows, 3 document tokens, then the block.
  const ApbConfig config =
      method_config(Method::kStar, everything_kept(AnchorConvention::kOfficial));
  const BlockLayout layout = method_layout(Method::kStar, config);
  const std::vector<Index> anchor{0, 1, kNoDocPos, kNoDocPos, kNoDocPos, 2, 3, 4};
  for (const std::size_t rank : {1U, 2U}) {
    REQUIRE(layout.ranks[rank].anchor_rows == 8);
    for (Index row = 0; row < 8; ++row) {
      CHECK(layout.ranks[rank].doc_pos(row) == anchor[static_cast<std::size_t>(row)]);
      CHECK(layout.ranks[rank].position(row) == row);
    }
    CHECK(layout.ranks[rank].position(8) == static_cast<Index>(10 * rank));
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
