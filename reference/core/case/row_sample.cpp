#include "reference/core/case/row_sample.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "reference/core/seeded_random.hpp"

namespace apb {
namespace {

constexpr Index kResidues = 128;
constexpr Index kRowsPerResidue = 2;

/// Rows at the borders of segments and beside them, as far as they exist.
std::set<Index> border_rows(const RankLayout& layout) {
  std::set<Index> rows;
  for (const Index border : {Index{0}, layout.anchor_rows, layout.rows()}) {
    for (Index row = border - 2; row <= border + 1; ++row) {
      if (row >= 0 && row < layout.rows()) rows.insert(row);
    }
  }
  return rows;
}

/// Adds random rows of a residue class to those of it that are in the sample already.
void add_residue(Index residue, Index num_rows, SeededRandom& random, std::set<Index>& sample) {
  const Index members = (num_rows - residue + kResidues - 1) / kResidues;
  Index present = std::count_if(sample.begin(), sample.end(),
                                [&](Index row) { return row % kResidues == residue; });
  while (present < std::min(kRowsPerResidue, members)) {
    present += sample.insert(residue + kResidues * random.below(members)).second ? 1 : 0;
  }
}

/// Adds rows, each as likely as any other that is not in the sample yet, until there are `count`.
void add_random(Index count, Index num_rows, SeededRandom& random, std::set<Index>& sample) {
  std::vector<Index> others;
  for (Index row = 0; row < num_rows; ++row) {
    if (!sample.contains(row)) others.push_back(row);
  }
  const Index wanted = std::min(count - std::ssize(sample), std::ssize(others));
  for (Index drawn = 0; drawn < wanted; ++drawn) {
    const Index pick = drawn + random.below(std::ssize(others) - drawn);
    std::swap(others[static_cast<std::size_t>(drawn)], others[static_cast<std::size_t>(pick)]);
    sample.insert(others[static_cast<std::size_t>(drawn)]);
  }
}

}  // namespace

std::vector<Index> sample_rows(const RankLayout& layout, Index count, std::uint64_t seed) {
  const Index num_rows = layout.rows();
  SeededRandom random(seed);
  std::set<Index> sample = border_rows(layout);
  for (Index residue = 0; residue < std::min(kResidues, num_rows); ++residue) {
    add_residue(residue, num_rows, random, sample);
  }
  add_random(count, num_rows, random, sample);
  return {sample.begin(), sample.end()};
}

}  // namespace apb
