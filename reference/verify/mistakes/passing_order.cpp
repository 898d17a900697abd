#include "reference/verify/mistakes/passing_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

/// Passing entries that each lower rank gave, ascending.
std::vector<Index> chunk_lengths(const CaseFile& case_file, int rank) {
  std::vector<Index> lengths;
  const BlockLayout layout = make_block_layout(case_file.config);
  for (int lower = 0; lower < rank; ++lower) {
    lengths.push_back(layout.ranks[static_cast<std::size_t>(lower)].num_kept);
  }
  return lengths;
}

/// The chunks of `whole` in reverse order.
std::shared_ptr<const Tensor> reversed(const Tensor& whole, const std::vector<Index>& lengths) {
  auto result = std::make_shared<Tensor>(0, whole.heads(), whole.head_dim());
  Index end = whole.rows();
  for (auto length = lengths.rbegin(); length != lengths.rend(); ++length) {
    result->append(whole.view().slice(end - *length, *length));
    end -= *length;
  }
  return result;
}

/// Appends what a rank keeps of one of its tensors, per KV head.
void append_kept(const CaseRank& rank, const Tensor& own, Tensor& result) {
  const Index first = result.rows();
  result.resize_rows(first + rank.layout.num_kept);
  for (Index head = 0; head < own.heads(); ++head) {
    const auto& kept = rank.kept_positions[static_cast<std::size_t>(head)];
    for (Index j = 0; j < rank.layout.num_kept; ++j) {
      const Index row =
          kept[static_cast<std::size_t>(j)] - rank.layout.block_begin + rank.layout.anchor_rows;
      std::copy_n(own.view().at(row, head), own.head_dim(), result.view().at(first + j, head));
    }
  }
}

/// The setup with what ranks [first, first + count) kept as passing block; none if the case does
/// not hold them all.
std::vector<Variant> other_ranks(const Evidence& evidence, int first, int count,
                                 const std::string& text) {
  const CaseFile& case_file = *evidence.wrong.case_file;
  const CaseRank& rank = *evidence.wrong.rank;
  auto key = std::make_shared<Tensor>(0, rank.key.heads(), rank.key.head_dim());
  auto value = std::make_shared<Tensor>(0, rank.key.heads(), rank.key.head_dim());
  for (int wanted = first; wanted < first + count; ++wanted) {
    const auto found = std::find_if(case_file.ranks.begin(), case_file.ranks.end(),
                                    [&](const CaseRank& other) { return other.rank == wanted; });
    if (found == case_file.ranks.end() || found->kept_positions.empty()) return {};
    append_kept(*found, found->key, *key);
    append_kept(*found, found->value, *value);
  }
  AttentionSetup setup = evidence.wrong.setup;
  setup.keys[kPassingKeys].key = std::as_const(*key).view();
  setup.keys[kPassingKeys].value = std::as_const(*value).view();
  setup.owned = {key, value};
  return {{": " + text, std::move(setup)}};
}

}  // namespace

std::vector<Variant> wrong_passing_order(const Evidence& evidence) {
  const WrongResult& wrong = evidence.wrong;
  if (wrong.rank == nullptr || wrong.case_file == nullptr) return {};
  const int rank = wrong.rank->rank;
  if (wrong.rank->layout.passing_rows == 0 || rank == 0) return {};

  const std::vector<Index> lengths = chunk_lengths(*wrong.case_file, rank);
  AttentionSetup values = wrong.setup;
  const auto value = reversed(wrong.rank->passing_value, lengths);
  values.keys[kPassingKeys].value = value->view();
  values.owned = {value};
  std::vector<Variant> variants{{": values reversed, keys not", std::move(values)}};

  const int num_ranks = wrong.case_file->config.num_ranks;
  const auto add = [&](int first, const std::string& text) {
    for (Variant& variant : other_ranks(evidence, first, rank, text)) {
      variants.push_back(std::move(variant));
    }
  };
  add(1, fmt::format("entries of ranks 1 to {} instead of 0 to {}", rank, rank - 1));
  if (num_ranks - rank > 1) {
    add(num_ranks - rank, fmt::format("entries of the last {} ranks instead of the first", rank));
  }
  return variants;
}

}  // namespace apb
