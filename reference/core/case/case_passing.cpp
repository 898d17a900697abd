#include "reference/core/case/case_passing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "reference/core/case/case_tensors.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

struct Passing {
  HeadsTensor<double> key;
  HeadsTensor<double> value;
  HeadPositions doc_pos;
};

/// What the lower ranks keep: ranks ascending, doc_pos ascending inside a rank, each KV head its
/// own.
Passing derive(std::span<const CaseRank> lower, const RankLayout& layout, const ApbConfig& config) {
  Passing passing{{layout.passing_rows, config.num_kv_heads, config.head_dim},
                  {layout.passing_rows, config.num_kv_heads, config.head_dim},
                  HeadPositions(static_cast<std::size_t>(config.num_kv_heads))};
  for (Index head = 0; head < config.num_kv_heads; ++head) {
    Index entry = 0;
    for (const CaseRank& rank : lower) {
      for (const Index doc_pos : rank.kept_positions[static_cast<std::size_t>(head)]) {
        const Index row = rank.layout.anchor_rows + doc_pos - rank.layout.block_begin;
        std::copy_n(rank.key.view().at(row, head), config.head_dim,
                    passing.key.view().at(entry, head));
        std::copy_n(rank.value.view().at(row, head), config.head_dim,
                    passing.value.view().at(entry, head));
        passing.doc_pos[static_cast<std::size_t>(head)].push_back(doc_pos);
        ++entry;
      }
    }
  }
  return passing;
}

Passing read_passing(const Hdf5Reader& file, const std::string& group, const RankLayout& layout,
                     const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  const auto tensor = [&](const char* name) {
    auto values =
        read_heads(file, group + name, layout.passing_rows, config.num_kv_heads, config.head_dim);
    require_representable(file, group + name, case_file.value_type, values);
    return values;
  };
  return {
      tensor("/passing_key"), tensor("/passing_value"),
      read_positions(file, group + "/passing_doc_pos", config.num_kv_heads, layout.passing_rows)};
}

/// Every lower rank keeps as many as the layout says, of its own candidates.
void require_possible(const Hdf5Reader& file, const std::string& group,
                      std::span<const RankLayout> lower, const HeadPositions& doc_pos) {
  for (std::size_t head = 0; head < doc_pos.size(); ++head) {
    std::span<const Index> rest = doc_pos[head];
    for (const RankLayout& rank : lower) {
      const auto kept = static_cast<std::size_t>(rank.num_kept);
      require_ascending(file, fmt::format("{}/passing_doc_pos[{}]", group, head), rest.first(kept),
                        rank.candidate_begin, rank.block_end());
      rest = rest.subspan(kept);
    }
  }
}

void require_same(const Hdf5Reader& file, const std::string& name, const HeadsTensor<double>& found,
                  const HeadsTensor<double>& derived) {
  const auto& a = found.values();
  const auto& b = derived.values();
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), same);
  if (at_a == a.end()) return;
  const std::array<Index, 3> shape{found.rows(), found.heads(), found.head_dim()};
  throw BadInput(file.path(), name + element_name(shape, at_a - a.begin()), *at_a,
                 fmt::format("{}, which the lower ranks in the file keep", *at_b));
}

void require_same(const Hdf5Reader& file, const std::string& group, const Passing& found,
                  const Passing& derived) {
  if (found.doc_pos != derived.doc_pos) {
    throw BadInput(
        fmt::format("{}: dataset {}/passing_doc_pos: must be what the lower ranks in "
                    "the file keep (their kept_positions)",
                    file.path(), group));
  }
  require_same(file, group + "/passing_key", found.key, derived.key);
  require_same(file, group + "/passing_value", found.value, derived.value);
}

}  // namespace

void require_ascending(const Hdf5Reader& file, const std::string& name,
                       std::span<const Index> positions, Index begin, Index end) {
  Index smallest = begin;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] < smallest || positions[i] >= end) {
      throw BadInput(
          file.path(), fmt::format("{}, element {}", name, i), positions[i],
          fmt::format("ascending, each once, of the candidates {} to {}", begin, end - 1));
    }
    smallest = positions[i] + 1;
  }
}

void complete_passing(const Hdf5Reader& file, const BlockLayout& layout, CaseFile& case_file) {
  for (std::size_t index = 0; index < case_file.ranks.size(); ++index) {
    CaseRank& rank = case_file.ranks[index];
    const std::string group = rank_group(rank.rank);
    const auto number = static_cast<std::size_t>(rank.rank);
    const bool given = file.has(group + "/passing_key") || file.has(group + "/passing_value") ||
                       file.has(group + "/passing_doc_pos");
    // Ranks ascend and each is there once.
    const bool lower_ranks_here = index == number || rank.layout.passing_rows == 0;
    if (!given && !lower_ranks_here) {
      throw BadInput(
          fmt::format("{}: dataset {}/passing_key is missing, and not all lower ranks "
                      "are in the file",
                      file.path(), group));
    }
    Passing passing;
    if (given) {
      passing = read_passing(file, group, rank.layout, case_file);
      require_possible(file, group, std::span(layout.ranks).first(number), passing.doc_pos);
    }
    if (lower_ranks_here) {
      Passing derived =
          derive(std::span(case_file.ranks).first(index), rank.layout, case_file.config);
      if (given) require_same(file, group, passing, derived);
      passing = std::move(derived);
    }
    rank.passing_key = std::move(passing.key);
    rank.passing_value = std::move(passing.value);
    rank.passing_doc_pos = std::move(passing.doc_pos);
  }
}

}  // namespace apb
