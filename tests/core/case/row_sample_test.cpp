// Sampled rows: the seams are always there, the rest is seeded chance.

#include "reference/core/case/row_sample.hpp"

#include <algorithm>
#include <numeric>

#include "tests/support/catch.hpp"

namespace apb {
namespace {

RankLayout rank_of(Index anchor_rows, Index block_len) {
  RankLayout layout;
  layout.anchor_rows = anchor_rows;
  layout.block_len = block_len;
  return layout;
}

bool holds(const std::vector<Index>& rows, Index row) {
  return std::binary_search(rows.begin(), rows.end(), row);
}

Index of_residue(const std::vector<Index>& rows, Index residue) {
  return std::count_if(rows.begin(), rows.end(), [&](Index row) { return row % 128 == residue; });
}

TEST_CASE("a sample is ascending, unique and inside the rank", "[row_sample]") {
  for (const auto& [anchor, block] :
       {std::pair<Index, Index>{0, 1}, {1, 0}, {0, 7}, {5, 300}, {127, 129}, {1000, 3000}}) {
    for (const Index count : {0, 1, 100, 700, 100000}) {
      CAPTURE(anchor, block, count);
      const auto rows = sample_rows(rank_of(anchor, block), count, 3);
      CHECK(std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end());
      CHECK(rows.front() >= 0);
      CHECK(rows.back() < anchor + block);
      CHECK(std::ssize(rows) >= std::min(count, anchor + block));
    }
  }
}

TEST_CASE("a rank without rows has no sample", "[row_sample]") {
  CHECK(sample_rows(rank_of(0, 0), 10, 0).empty());
}

TEST_CASE("segment borders and their neighbours are in every sample", "[row_sample]") {
  for (const std::uint64_t seed : {0U, 1U, 99U}) {
    const auto rows = sample_rows(rank_of(1000, 3000), 0, seed);
    for (const Index row : {0, 1, 998, 999, 1000, 1001, 3998, 3999}) {
      CAPTURE(seed, row);
      CHECK(holds(rows, row));
    }
  }
}

TEST_CASE("two rows of each residue, as far as there are two", "[row_sample]") {
  const auto rows = sample_rows(rank_of(1000, 3000), 0, 5);
  CHECK(rows.size() <= 256 + 8);
  const auto few = sample_rows(rank_of(100, 100), 0, 5);
  for (Index residue = 0; residue < 128; ++residue) {
    CAPTURE(residue);
    CHECK(of_residue(rows, residue) >= 2);
    CHECK(of_residue(few, residue) == (residue < 200 - 128 ? 2 : 1));
  }
}

TEST_CASE("there are as many rows as asked for, up to all of them", "[row_sample]") {
  CHECK(sample_rows(rank_of(1000, 3000), 1000, 5).size() == 1000);
  const auto all = sample_rows(rank_of(1000, 3000), 5000, 5);
  std::vector<Index> expected(4000);
  std::iota(expected.begin(), expected.end(), Index{0});
  CHECK(all == expected);
}

TEST_CASE("the seed decides, and nothing else", "[row_sample]") {
  const RankLayout layout = rank_of(1000, 3000);
  CHECK(sample_rows(layout, 600, 5) == sample_rows(layout, 600, 5));
  CHECK(sample_rows(layout, 600, 5) != sample_rows(layout, 600, 6));
}

}  // namespace
}  // namespace apb
