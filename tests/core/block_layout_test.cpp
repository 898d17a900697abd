// The layout against a table that is written down token by token, for thousands of shapes.

#include "reference/core/block_layout.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

constexpr int kQueryTokenBase = 1000;  // query token i has id 1000 + i, document token i has id i

/// doc_pos, position and token of a row.
using Row = std::array<Index, 3>;

std::vector<int> ids_from(int first, Index count) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

/// The owner of every document token, one by one.
std::vector<int> expected_owners(const ApbConfig& config) {
  std::vector<int> owners;
  const Index ceiling = (config.doc_len + config.num_ranks - 1) / config.num_ranks;
  for (Index token = 0; config.block_lens.empty() && token < config.doc_len; ++token) {
    owners.push_back(static_cast<int>(token / ceiling));
  }
  for (std::size_t rank = 0; rank < config.block_lens.size(); ++rank) {
    const auto count = static_cast<std::size_t>(config.block_lens[rank]);
    owners.insert(owners.end(), count, static_cast<int>(rank));
  }
  return owners;
}

std::vector<Row> expected_rows(const ApbConfig& config, const std::vector<int>& owners, int rank) {
  std::vector<Row> rows;
  const auto add_anchor = [&](Index doc_pos, Index token) {
    rows.push_back({doc_pos, static_cast<Index>(rows.size()), token});
  };
  if (rank > 0) {
    const bool paper = config.anchor_convention == AnchorConvention::kPaper;
    const Index query_at = paper ? 0 : config.query_insert_at;
    const Index documents = config.anchor_len - (paper ? 0 : config.embedded_query_len);
    for (Index i = 0; i < query_at; ++i) add_anchor(i, i);
    for (Index i = 0; i < config.embedded_query_len; ++i) {
      add_anchor(kNoDocPos, kQueryTokenBase + i);
    }
    for (Index i = query_at; i < documents; ++i) add_anchor(i, i);
  }
  for (Index token = 0; token < config.doc_len; ++token) {
    if (owners[static_cast<std::size_t>(token)] == rank) rows.push_back({token, token, token});
  }
  return rows;
}

std::vector<Row> rows_of(const RankLayout& layout, const ApbConfig& config) {
  const std::vector<int> document = ids_from(0, config.doc_len);
  const std::vector<int> query = ids_from(kQueryTokenBase, config.embedded_query_len);
  std::vector<Row> rows;
  for (Index row = 0; row < layout.rows(); ++row) {
    rows.push_back({layout.doc_pos(row), layout.position(row), layout.token(row, document, query)});
  }
  return rows;
}

void check_layout(const ApbConfig& config) {
  CAPTURE(config.doc_len, config.num_ranks, config.block_lens, config.anchor_len, config.num_kept);
  CAPTURE(config.embedded_query_len, config.query_insert_at, to_string(config.anchor_convention));
  const BlockLayout layout = make_block_layout(config);
  const std::vector<int> owners = expected_owners(config);
  REQUIRE(layout.num_ranks() == config.num_ranks);

  const bool selects = config.num_ranks > 1 && config.compressor != Compressor::kNone;
  Index passing_rows = 0;
  std::vector<Index> owned;
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    const RankLayout& own = layout.ranks[static_cast<std::size_t>(rank)];
    const std::vector<Row> rows = expected_rows(config, owners, rank);
    const Index block_len = std::count(owners.begin(), owners.end(), rank);
    CAPTURE(rank);
    CHECK(rows_of(own, config) == rows);
    CHECK(own.block_len == block_len);
    CHECK(own.anchor_rows == std::ssize(rows) - block_len);

    Index candidates = 0;  // tokens of the own block that no anchor holds
    for (Index token = own.block_begin; token < own.block_end(); ++token) {
      owned.push_back(token);
      const bool in_anchor = token < config.anchor_len;
      CHECK((token >= own.candidate_begin) == !in_anchor);
      if (!in_anchor) ++candidates;
    }
    CHECK(own.num_candidates() == candidates);
    CHECK(own.num_kept == (selects ? std::min(config.num_kept, candidates) : 0));
    CHECK(own.passing_rows == passing_rows);
    passing_rows += own.num_kept;
  }
  CHECK(owned == [&] {
    std::vector<Index> all(static_cast<std::size_t>(config.doc_len));
    std::iota(all.begin(), all.end(), Index{0});
    return all;
  }());
  for (Index token = 0; token < config.doc_len; ++token) {
    if (layout.owner(token) != owners[static_cast<std::size_t>(token)]) FAIL("owner of " << token);
  }
}

/// All anchors that fit rank 0's block, in both conventions, with short and long queries.
void check_anchors(ApbConfig config, RandomTensors& random) {
  config.compressor = Compressor::kRandom;
  const Index first_block = config.resolved_block_lens().front();
  for (const Index anchor_len : {Index{0}, std::min<Index>(first_block, 3), first_block}) {
    config.anchor_len = anchor_len;
    config.num_kept = random.below(6);
    config.anchor_convention = AnchorConvention::kPaper;
    config.query_insert_at = 0;
    config.embedded_query_len = random.below(4);
    check_layout(config);
    config.anchor_convention = AnchorConvention::kOfficial;
    config.embedded_query_len = random.below(anchor_len + 1);
    config.query_insert_at = random.below(anchor_len - config.embedded_query_len + 1);
    check_layout(config);
  }
}

TEST_CASE("equal blocks: every token has one owner, every row its place", "[block_layout]") {
  RandomTensors random(1);
  for (Index doc_len = 0; doc_len <= 60; ++doc_len) {
    for (int num_ranks = 1; num_ranks <= 8; ++num_ranks) {
      ApbConfig config;
      config.doc_len = doc_len;
      config.num_ranks = num_ranks;
      check_anchors(config, random);
    }
  }
}

TEST_CASE("given block lengths: uneven, empty, all on one rank", "[block_layout]") {
  RandomTensors random(2);
  for (int round = 0; round < 400; ++round) {
    ApbConfig config;
    config.doc_len = random.below(61);
    config.num_ranks = static_cast<int>(1 + random.below(8));
    config.block_lens = random.split(config.doc_len, config.num_ranks);
    check_anchors(config, random);
  }
}

TEST_CASE("nothing is kept without a compressor or with one rank", "[block_layout]") {
  ApbConfig config;
  config.doc_len = 20;
  config.num_ranks = 4;
  check_layout(config);
  config.compressor = Compressor::kRecent;
  config.num_kept = 3;
  check_layout(config);
  CHECK(make_block_layout(config).ranks[3].passing_rows == 9);
  config.num_ranks = 1;
  check_layout(config);
  CHECK(make_block_layout(config).ranks[0].num_kept == 0);
}

TEST_CASE("official convention: tokens behind the anchor's documents are lost", "[block_layout]") {
  ApbConfig config;
  config.doc_len = 24;
  config.num_ranks = 3;
  config.anchor_convention = AnchorConvention::kOfficial;
  config.anchor_len = 6;
  config.embedded_query_len = 2;
  config.query_insert_at = 1;
  config.compressor = Compressor::kRecent;
  config.num_kept = 24;
  const BlockLayout layout = make_block_layout(config);
  CHECK(layout.ranks[1].anchor_rows == 6);
  CHECK(layout.ranks[1].doc_pos(0) == 0);
  CHECK(layout.ranks[1].doc_pos(1) == kNoDocPos);
  CHECK(layout.ranks[1].doc_pos(2) == kNoDocPos);
  CHECK(layout.ranks[1].doc_pos(5) == 3);       // 4 and 5 are in no anchor …
  CHECK(layout.ranks[0].candidate_begin == 6);  // … and no candidates either
  CHECK(layout.ranks[0].num_kept == 2);
}

TEST_CASE("rows and tokens outside are refused", "[block_layout]") {
  ApbConfig config;
  config.doc_len = 10;
  config.num_ranks = 2;
  const BlockLayout layout = make_block_layout(config);
  CHECK_THROWS_AS(layout.owner(-1), std::out_of_range);
  CHECK_THROWS_AS(layout.owner(10), std::out_of_range);
  CHECK_THROWS_AS(layout.ranks[0].doc_pos(5), std::out_of_range);
  CHECK_THROWS_AS(layout.ranks[0].doc_pos(-1), std::out_of_range);
  CHECK_THROWS_AS(layout.ranks[0].position(5), std::out_of_range);
  CHECK_THROWS_AS(layout.ranks[0].token(4, {1, 2, 3}, {}), std::out_of_range);
}

}  // namespace
}  // namespace apb
