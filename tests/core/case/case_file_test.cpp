// Case files: what is written is read back; each broken thing is refused with its own line.

#include <cmath>
#include <functional>
#include <limits>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "tests/core/case/sample_case.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

ApbConfig three_ranks() {
  ApbConfig config;
  config.doc_len = 20;
  config.num_ranks = 3;
  config.block_lens = {9, 4, 7};
  config.query_len = 3;
  config.embedded_query_len = 2;
  config.anchor_len = 4;
  config.compressor = Compressor::kRandom;
  config.num_kept = 3;
  config.seed = 5;
  return config;
}

CaseFile read_back(const CaseFile& case_file) {
  const TemporaryFolder folder;
  const std::string path = folder.file("case.h5");
  write_case(path, case_file);
  CHECK(folder.num_files() == 1);
  check_hdf5_in_child(path);
  return read_case(path);
}

/// The line that a written case is refused with, without the file's name.
std::string refusal_of(const CaseFile& case_file) {
  const TemporaryFolder folder;
  const std::string path = folder.file("case.h5");
  write_case(path, case_file);
  try {
    (void)read_case(path);
  } catch (const BadInput& error) {
    const std::string line = error.what();
    CHECK(line.starts_with(path + ": "));
    return line.substr(path.size() + 2);
  }
  return "accepted";
}

/// The refusal of a sample case that was changed.
std::string refusal_after(const std::function<void(CaseFile&)>& change) {
  CaseFile case_file = sample_case(three_ranks(), ValueType::kBfloat16);
  add_optional_parts(case_file);
  change(case_file);
  return refusal_of(case_file);
}

TEST_CASE("a case of every precision is read back", "[case_file]") {
  for (const ValueType type :
       {ValueType::kFloat64, ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    CAPTURE(to_string(type));
    CaseFile case_file = sample_case(three_ranks(), type);
    CHECK(same_case(read_back(case_file), case_file));
    add_optional_parts(case_file);
    const CaseFile found = read_back(case_file);
    CHECK(same_case(found, case_file));
    CaseFile changed = found;
    changed.ranks.back().query.values().back() += 1;
    CHECK_FALSE(same_case(changed, case_file));
  }
}

TEST_CASE("values that only double holds, and special ones", "[case_file]") {
  CaseFile case_file = sample_case(three_ranks(), ValueType::kFloat64);
  auto& values = case_file.ranks[0].query.values();
  values[0] = 0.1;
  values[1] = 1e300;
  values[2] = -0.0;
  values[3] = std::numeric_limits<double>::infinity();
  CHECK(same_case(read_back(case_file), case_file));
  case_file.ranks[2].value.values()[4] = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(read_back(case_file).ranks[2].value.values()[4]));
}

TEST_CASE("any blocks, empty ones and empty segments", "[case_file]") {
  for (const std::vector<Index>& lens : {std::vector<Index>{20, 0, 0}, {5, 0, 15}, {4, 16, 0}}) {
    for (const Index kept : {0, 2, 50}) {
      CAPTURE(lens, kept);
      ApbConfig config = three_ranks();
      config.block_lens = lens;
      config.num_kept = kept;
      const CaseFile case_file = sample_case(config, ValueType::kFloat16);
      CHECK(same_case(read_back(case_file), case_file));
    }
  }
  for (const int num_ranks : {1, 2, 5}) {
    ApbConfig config;
    config.num_ranks = num_ranks;  // an empty document
    const CaseFile case_file = sample_case(config, ValueType::kFloat32);
    CHECK(same_case(read_back(case_file), case_file));
  }
}

TEST_CASE("convention official keeps its place of the query", "[case_file]") {
  ApbConfig config = three_ranks();
  config.anchor_convention = AnchorConvention::kOfficial;
  config.query_insert_at = 1;
  const CaseFile case_file = sample_case(config, ValueType::kFloat32);
  CHECK(same_case(read_back(case_file), case_file));
}

TEST_CASE("full and star", "[case_file]") {
  ApbConfig config = three_ranks();
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  CaseFile case_file = sample_case(config, ValueType::kFloat32);
  case_file.method = "star";
  CHECK(same_case(read_back(case_file), case_file));
  config.block_lens = {20, 0, 0};
  config.anchor_len = 0;
  config.embedded_query_len = 0;
  case_file = sample_case(config, ValueType::kFloat32);
  case_file.method = "full";
  CHECK(same_case(read_back(case_file), case_file));
}

TEST_CASE("one rank alone, or some", "[case_file]") {
  const CaseFile all = sample_case(three_ranks(), ValueType::kBfloat16);
  for (const std::vector<std::size_t>& ranks :
       std::vector<std::vector<std::size_t>>{{0}, {1}, {2}, {0, 2}, {1, 2}, {0, 1}}) {
    CAPTURE(ranks);
    CaseFile some = all;
    some.ranks.clear();
    for (const std::size_t rank : ranks) some.ranks.push_back(all.ranks[rank]);
    CHECK(same_case(read_back(some), some));
  }
}

TEST_CASE("the configuration is checked", "[case_file]") {
  const auto with = [](const std::function<void(ApbConfig&)>& change) {
    return refusal_after([&](CaseFile& case_file) { change(case_file.config); });
  };
  CHECK(with([](ApbConfig& c) { c.doc_len = 21; }) ==
        "block_lens = 20 in all: must be lengths that add up to doc_len (21)");
  CHECK(with([](ApbConfig& c) { c.anchor_len = 10; }) ==
        "anchor_len = 10: must be at most rank 0's block (9 tokens)");
  CHECK(with([](ApbConfig& c) { c.head_dim = 0; }) == "head_dim = 0: must be between 1 and 4096");
  CHECK(with([](ApbConfig& c) { c.softmax_scale = std::nan(""); }) ==
        "softmax_scale = nan: must be positive and finite");
  CHECK(with([](ApbConfig& c) { c.pool_kernel = 4; }) == "pool_kernel = 4: must be odd");
  CHECK(with([](ApbConfig& c) { c.seed = ~std::uint64_t{0}; }) ==
        "seed = -1: must be between 0 and 9223372036854775807");
  CHECK(with([](ApbConfig& c) { c.anchor_len = 3; }) ==
        "/rank_1/anchor_rows = 6: must be 5, which follows from the file's lengths");
  CHECK(with([](ApbConfig& c) { c.num_q_heads = 2; }) ==
        "/rank_0/query = shape [9, 4, 3]: must be shape [9, 2, 3]");
  CHECK(with([](ApbConfig& c) { c.num_kept = 2; }) ==
        "/rank_0/kept_positions = shape [2, 3]: must be shape [2, 2]");
}

TEST_CASE("method and ranks are checked", "[case_file]") {
  CHECK(refusal_after([](CaseFile& c) { c.method = "ring"; }) ==
        "method = ring: must be one of full, star, apb");
  CHECK(refusal_after([](CaseFile& c) { c.method = "two\nlines\x7f"; }) ==
        "method = two?lines?: must be one of full, star, apb");
  CHECK(refusal_after([](CaseFile& c) { c.method = "star"; }) ==
        "compressor = random: must be none with method star");
  CHECK(refusal_after([](CaseFile& c) {
          c.method = "full";
          c.config.compressor = Compressor::kNone;
          c.config.num_kept = 0;
        }) ==
        "method = full: must have the whole document on rank 0, anchor_len 0 and "
        "embedded_query_len 0");
  CHECK(refusal_after([](CaseFile& c) { c.ranks.clear(); }) ==
        "ranks = []: must be at least one "
        "rank");
  CHECK(refusal_after([](CaseFile& c) { std::swap(c.ranks[0], c.ranks[1]); }) ==
        "ranks = [1, 0, 2]: must be ascending, each once, between 0 and 2");
  CHECK(refusal_after([](CaseFile& c) { c.ranks[2].rank = 3; }) ==
        "ranks = [0, 1, 3]: must be ascending, each once, between 0 and 2");
}

TEST_CASE("rows must be where the layout has them", "[case_file]") {
  CHECK(refusal_after([](CaseFile& c) { c.ranks[1].layout.runs.back().first += 1; }) ==
        "/rank_1/doc_pos[6] = 10: must be 9, which follows from the file's lengths");
  CHECK(refusal_after([](CaseFile& c) { c.ranks[1].layout.runs.back().first_position = 0; }) ==
        "/rank_1/position[6] = 0: must be 9, which follows from the file's lengths");
}

TEST_CASE("inputs must have the precision they claim", "[case_file]") {
  CHECK(refusal_after([](CaseFile& c) { c.ranks[1].query.values()[14] = 257; }) ==
        "/rank_1/query[1, 0, 2] = 257: must be exactly representable in bfloat16 (value_dtype)");
  CHECK(refusal_after([](CaseFile& c) { c.ranks[0].importance(5, 1) = 0x1p-200; }) == "accepted");
  CHECK(refusal_after([](CaseFile& c) {
          c.ranks[0].importance(5, 1) = 1.01;
        }).starts_with("/rank_0/importance[5, 1] = 1.00999"));
  CHECK(refusal_after([](CaseFile& c) { c.decode->query.values()[0] = 257; }) ==
        "/decode/query[0, 0, 0] = 257: must be exactly representable in bfloat16 (value_dtype)");
  CHECK(refusal_after([](CaseFile& c) { c.ranks[0].retaining->fc2(1, 4) = 257; }) ==
        "/rank_0/retaining_fc2[1, 4] = 257: must be exactly representable in bfloat16 "
        "(value_dtype)");
}

TEST_CASE("a linear retaining head has no second layer", "[case_file]") {
  CaseFile case_file = sample_case(three_ranks(), ValueType::kBfloat16);
  add_optional_parts(case_file);
  const Index width = case_file.ranks[0].retaining->fc1.cols();
  for (CaseRank& rank : case_file.ranks) {
    rank.retaining->fc1 = Matrix<double>::Constant(2, width, 0.25);
    rank.retaining->fc2 = {};
  }
  CHECK(same_case(read_back(case_file), case_file));
  CHECK(refusal_after([](CaseFile& c) {
          c.ranks[0].retaining->fc2 = {};
        }).starts_with("/rank_0/retaining_fc1"));
}

TEST_CASE("kept positions must be candidates, ascending, each once", "[case_file]") {
  const auto with = [](int rank, const std::vector<Index>& kept) {
    return refusal_after(
        [&](CaseFile& c) { c.ranks[static_cast<std::size_t>(rank)].kept_positions[1] = kept; });
  };
  CHECK(with(2, {13, 14, 20}) ==
        "/rank_2/kept_positions[1], element 2 = 20: must be ascending, "
        "each once, of the candidates 13 to 19");
  CHECK(with(2, {14, 13, 19}).starts_with("/rank_2/kept_positions[1], element 1 = 13: "));
  CHECK(with(2, {14, 14, 19}).starts_with("/rank_2/kept_positions[1], element 1 = 14: "));
  CHECK(with(0, {3, 7, 8}).starts_with("/rank_0/kept_positions[1], element 0 = 3: "));
  CHECK(refusal_after([](CaseFile& c) { c.ranks[0].importance(2, 1) = 1; }) ==
        "/rank_0/importance[2, 1] = 1: must be -inf: an anchor holds this token");
}

TEST_CASE("passing blocks must be what the lower ranks keep", "[case_file]") {
  CHECK(refusal_after([](CaseFile& c) {
          c.ranks[2].passing_key.values()[7] += 1;
        }).starts_with("/rank_2/passing_key[1, 0, 1] = "));
  CHECK(refusal_after([](CaseFile& c) {
          c.ranks[2].passing_value.values()[7] += 1;
        }).starts_with("/rank_2/passing_value[1, 0, 1] = "));
  CHECK(refusal_after([](CaseFile& c) {
          c.ranks[1].passing_doc_pos[0] = {5, 6, 7};
        }) ==
        "dataset /rank_1/passing_doc_pos: must be what the lower ranks in the file keep (their "
        "kept_positions)");
  // Alone, a rank's passing block must at least be possible.
  const auto alone = [](const std::vector<Index>& doc_pos) {
    return refusal_after([&](CaseFile& c) {
      c.decode.reset();
      c.ranks.erase(c.ranks.begin(), c.ranks.begin() + 2);
      c.ranks[0].passing_key.values()[7] += 1;
      c.ranks[0].passing_doc_pos[1] = doc_pos;
    });
  };
  CHECK(alone({5, 6, 7, 9, 10, 11}) == "accepted");
  CHECK(alone({3, 6, 7, 9, 10, 11}) ==
        "/rank_2/passing_doc_pos[1], element 0 = 3: must be ascending, each once, of the "
        "candidates 4 to 8");
  CHECK(alone({5, 6, 7, 8, 10, 11}).starts_with("/rank_2/passing_doc_pos[1], element 0 = 8: "));
}

TEST_CASE("a query pass is checked", "[case_file]") {
  CHECK(refusal_after([](CaseFile& c) { c.decode->ranks[2].query_keys = 2; }) ==
        "/decode/rank_2/query_keys = 2: must be 0 or query_len (3), and at most the 10 cached "
        "rows");
  CHECK(refusal_after([](CaseFile& c) { c.decode->ranks[1].value.resize_rows(3); }) ==
        "/decode/rank_1/value = shape [3, 2, 3]: must be shape [4, 2, 3]");
  CHECK(refusal_after([](CaseFile& c) { c.decode->ranks.pop_back(); }) ==
        "dataset /decode/rank_2/key is missing");
  CHECK(refusal_after([](CaseFile& c) { c.decode->lse.resize(2, 4); }) ==
        "/decode/lse = shape [2, 4]: must be shape [3, 4]");
}

TEST_CASE("another kind of file is refused", "[case_file]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("candidate.h5");
  write_candidate(path, {});
  CHECK_THROWS_WITH(read_case(path), path + ": schema = apb-candidate: must be apb-case");
  CHECK_THROWS_WITH(read_case(folder.file("none.h5")), folder.file("none.h5") + ": no such file");
}

}  // namespace
}  // namespace apb
