// Every refusal of a configuration: one line that names key, value and what is allowed, exit 2.

#include "reference/core/config.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "reference/core/block_layout.hpp"
#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

constexpr Index kTooLong = (Index{1} << 30) + 1;

ApbConfig good_config() {
  ApbConfig config;
  config.doc_len = 100;
  config.num_ranks = 4;
  config.query_len = 7;
  config.embedded_query_len = 5;
  config.anchor_len = 10;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = 8;
  config.num_q_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.softmax_scale = 0.25;
  return config;
}

struct ConfigRefusal {
  std::string key;
  std::string value;
  std::string allowed;
  std::function<void(ApbConfig&)> spoil;
};

const std::vector<ConfigRefusal>& refusals() {
  static const std::vector<ConfigRefusal> all{
      {"doc_len", "-1", "between 0 and 1073741824", [](auto& c) { c.doc_len = -1; }},
      {"doc_len", "1073741825", "between 0", [](auto& c) { c.doc_len = kTooLong; }},
      {"num_ranks", "0", "between 1 and 4096", [](auto& c) { c.num_ranks = 0; }},
      {"num_ranks", "-3", "between 1 and 4096", [](auto& c) { c.num_ranks = -3; }},
      {"num_ranks", "4097", "between 1 and 4096", [](auto& c) { c.num_ranks = 4097; }},
      {"block_lens", "3 lengths", "one length per rank (4)",
       [](auto& c) {
         c.block_lens = {50, 25, 25};
       }},
      {"block_lens", "5 lengths", "one length per rank (4)",
       [](auto& c) {
         c.block_lens = {20, 20, 20, 20, 20};
       }},
      {"block_lens", "-10", "between 0 and 100",
       [](auto& c) {
         c.block_lens = {50, 50, -10, 10};
       }},
      {"block_lens", "101", "between 0 and 100",
       [](auto& c) {
         c.block_lens = {101, 0, 0, 0};
       }},
      {"block_lens", "99 in all", "add up to doc_len (100)",
       [](auto& c) {
         c.block_lens = {30, 30, 30, 9};
       }},
      {"query_len", "-1", "between 0", [](auto& c) { c.query_len = -1; }},
      {"query_len", "1073741825", "between 0", [](auto& c) { c.query_len = kTooLong; }},
      {"embedded_query_len", "-1", "between 0", [](auto& c) { c.embedded_query_len = -1; }},
      {"embedded_query_len", "1073741825", "between 0",
       [](auto& c) { c.embedded_query_len = kTooLong; }},
      {"anchor_len", "-1", "between 0", [](auto& c) { c.anchor_len = -1; }},
      {"anchor_len", "26", "at most rank 0's block (25 tokens)",
       [](auto& c) { c.anchor_len = 26; }},
      {"anchor_len", "10", "at most rank 0's block (9 tokens)",
       [](auto& c) {
         c.block_lens = {9, 30, 30, 31};
       }},
      {"embedded_query_len", "11", "at most anchor_len (10)",
       [](auto& c) {
         c.anchor_convention = AnchorConvention::kOfficial;
         c.embedded_query_len = 11;
       }},
      {"query_insert_at", "6", "between 0 and 5",
       [](auto& c) {
         c.anchor_convention = AnchorConvention::kOfficial;
         c.query_insert_at = 6;
       }},
      {"query_insert_at", "-1", "between 0 and 5",
       [](auto& c) {
         c.anchor_convention = AnchorConvention::kOfficial;
         c.query_insert_at = -1;
       }},
      {"query_insert_at", "2", "0 in convention paper", [](auto& c) { c.query_insert_at = 2; }},
      {"num_kept", "-1", "between 0", [](auto& c) { c.num_kept = -1; }},
      {"num_kept", "8", "0 with compressor none",
       [](auto& c) { c.compressor = Compressor::kNone; }},
      {"pool_kernel", "0", "between 1", [](auto& c) { c.pool_kernel = 0; }},
      {"pool_kernel", "-5", "between 1", [](auto& c) { c.pool_kernel = -5; }},
      {"pool_kernel", "4", "odd", [](auto& c) { c.pool_kernel = 4; }},
      {"compressor", "query_aware", "embedded query", [](auto& c) { c.embedded_query_len = 0; }},
      {"num_q_heads", "0", "between 1 and 1024", [](auto& c) { c.num_q_heads = 0; }},
      {"num_q_heads", "1025", "between 1 and 1024", [](auto& c) { c.num_q_heads = 1025; }},
      {"num_kv_heads", "0", "between 1 and 1024", [](auto& c) { c.num_kv_heads = 0; }},
      {"num_q_heads", "6", "a multiple of num_kv_heads (4)", [](auto& c) { c.num_kv_heads = 4; }},
      {"num_q_heads", "6", "a multiple of num_kv_heads (12)", [](auto& c) { c.num_kv_heads = 12; }},
      {"head_dim", "0", "between 1 and 4096", [](auto& c) { c.head_dim = 0; }},
      {"head_dim", "4097", "between 1 and 4096", [](auto& c) { c.head_dim = 4097; }},
      {"softmax_scale", "0", "positive and finite", [](auto& c) { c.softmax_scale = 0; }},
      {"softmax_scale", "-0.5", "positive and finite", [](auto& c) { c.softmax_scale = -0.5; }},
      {"softmax_scale", "nan", "positive and finite",
       [](auto& c) { c.softmax_scale = std::numeric_limits<double>::quiet_NaN(); }},
      {"softmax_scale", "inf", "positive and finite",
       [](auto& c) { c.softmax_scale = std::numeric_limits<double>::infinity(); }},
  };
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a good configuration is accepted, at its limits too", "[config]") {
  ApbConfig config = good_config();
  CHECK_NOTHROW(config.validate());
  config.anchor_len = 25;
  CHECK_NOTHROW(config.validate());
  config.anchor_convention = AnchorConvention::kOfficial;
  config.query_insert_at = 20;
  CHECK_NOTHROW(config.validate());
  config.embedded_query_len = 25;
  config.query_insert_at = 0;
  CHECK_NOTHROW(config.validate());
  config.block_lens = {25, 0, 0, 75};
  CHECK_NOTHROW(config.validate());
  CHECK_NOTHROW(ApbConfig{}.validate());
}

TEST_CASE("every refusal names key, value and what is allowed", "[config]") {
  for (const ConfigRefusal& refusal : refusals()) {
    ApbConfig config = good_config();
    refusal.spoil(config);
    CAPTURE(refusal.key, refusal.value, refusal.allowed);
    try {
      config.validate();
      FAIL_CHECK("accepted");
    } catch (const BadInput& error) {
      const std::string line = error.what();
      CAPTURE(line);
      CHECK(contains(line, "config: " + refusal.key + " = " + refusal.value + ": must be "));
      CHECK(contains(line, refusal.allowed));
      CHECK_FALSE(contains(line, "\n"));
      CHECK(static_cast<int>(error.status()) == 2);
    }
  }
}

TEST_CASE("names read back as they are written", "[config]") {
  for (const auto convention : {AnchorConvention::kPaper, AnchorConvention::kOfficial}) {
    CHECK(parse_anchor_convention(to_string(convention)) == convention);
  }
  for (const auto compressor :
       {Compressor::kNone, Compressor::kQueryAware, Compressor::kRandom, Compressor::kRecent}) {
    CHECK(parse_compressor(to_string(compressor)) == compressor);
  }
}

TEST_CASE("unknown names are refused with the known ones", "[config]") {
  const auto message = [](const auto& parse) -> std::string {
    try {
      (void)parse("Paper");
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string convention = message(parse_anchor_convention);
  CHECK(convention == "config: anchor_convention = Paper: must be one of paper, official");
  const std::string compressor = message(parse_compressor);
  CHECK(compressor ==
        "config: compressor = Paper: must be one of none, query_aware, random, recent, "
        "retaining_head");
}

TEST_CASE("resolved block lengths add up", "[config]") {
  ApbConfig config;
  config.doc_len = 5;
  config.num_ranks = 4;
  CHECK(config.resolved_block_lens() == std::vector<Index>{2, 2, 1, 0});
  config.doc_len = 0;
  CHECK(config.resolved_block_lens() == std::vector<Index>{0, 0, 0, 0});
  config.block_lens = {0, 3, 0, 2};
  CHECK(config.resolved_block_lens() == config.block_lens);
}

TEST_CASE("no ranks: refused before anything is divided by their number", "[config]") {
  ApbConfig config;
  config.doc_len = 5;
  for (const int ranks : {0, -1, 1 << 20}) {
    config.num_ranks = ranks;
    const std::string wanted =
        fmt::format("config: num_ranks = {}: must be between 1 and 4096", ranks);
    CHECK(refusal([&] { (void)config.resolved_block_lens(); }) == wanted);
    CHECK(refusal([&] { config.validate(); }) == wanted);
    CHECK(refusal([&] { (void)make_block_layout(config); }) == wanted);
  }
}

}  // namespace
}  // namespace apb
