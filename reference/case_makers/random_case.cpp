#include "reference/case_makers/random_case.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "reference/attention/block_scores.hpp"
#include "reference/case_makers/hard_scores.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr std::array<std::pair<Adversary, std::string_view>, 13> kAdversaries{
    {{Adversary::kHugeLogits, "huge-logits"},
     {Adversary::kTinyLogits, "tiny-logits"},
     {Adversary::kTies, "ties"},
     {Adversary::kSignedZeros, "signed-zeros"},
     {Adversary::kNanOutside, "nan-outside"},
     {Adversary::kOffTile, "off-tile"},
     {Adversary::kEmptySegments, "empty-segments"},
     {Adversary::kShared8Bits, "shared-8-bits"},
     {Adversary::kShared16Bits, "shared-16-bits"},
     {Adversary::kMoreTiesThanKept, "more-ties-than-kept"},
     {Adversary::kReluZeros, "relu-zeros"},
     {Adversary::kAllEqual, "all-equal"},
     {Adversary::kNanWinners, "nan-winners"}}};

HeadsTensor<double> random_heads(ValueType type, Index rows, Index heads, Index head_dim,
                                 SeededRandom& random) {
  HeadsTensor<double> tensor(rows, heads, head_dim);
  for (double& value : tensor.values()) value = round_to(type, random.bell());
  return tensor;
}

void fill(HeadsTensor<double>& tensor, double value) {
  for (double& element : tensor.values()) element = value;
}

/// Every row of keys becomes a copy of one of the first three.
void repeat_rows(HeadsTensor<double>& key, SeededRandom& random) {
  const Index row_size = key.heads() * key.head_dim();
  for (Index row = 3; row < key.rows(); ++row) {
    const double* source = key.view().at(random.below(3), 0);
    std::copy_n(source, row_size, key.view().at(row, 0));
  }
}

/// Queries positive, keys negative or, in a third of the rows, zeros of either sign: zero is the
/// largest score there is.
void sign_zeros(RowTensors& rows, SeededRandom& random) {
  for (double& value : rows.query.values()) value = std::abs(value);
  for (double& value : rows.key.values()) value = -std::abs(value);
  const Index row_size = rows.key.heads() * rows.key.head_dim();
  for (Index row = 0; row < rows.key.rows(); ++row) {
    if (random.below(3) > 0) continue;
    for (HeadsTensor<double>* tensor : {&rows.key, &rows.value}) {
      double* first = tensor->view().at(row, 0);
      for (Index i = 0; i < row_size; ++i) first[i] = random.below(2) == 0 ? 0.0 : -0.0;
    }
  }
}

void put_nan_last(RowTensors& rows) {
  if (rows.key.rows() == 0) return;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (HeadsTensor<double>* tensor : {&rows.key, &rows.value}) {
    const Index row_size = tensor->heads() * tensor->head_dim();
    std::fill_n(tensor->view().at(tensor->rows() - 1, 0), row_size, kNan);
  }
}

/// Changes rows of a block, an anchor or the query; every precision holds what it puts there.
void spoil(Adversary adversary, RowTensors& rows, bool is_block, SeededRandom& random) {
  switch (adversary) {
    case Adversary::kHugeLogits:
      fill(rows.query, 64);
      fill(rows.key, 64);
      break;
    case Adversary::kTinyLogits:
      fill(rows.query, 8);
      for (double& value : rows.key.values()) value = random.below(2) == 0 ? -64 : -64.5;
      break;
    case Adversary::kTies:
      repeat_rows(rows.key, random);
      break;
    case Adversary::kSignedZeros:
      sign_zeros(rows, random);
      break;
    case Adversary::kNanOutside:
      if (is_block) put_nan_last(rows);
      break;
    default:
      break;
  }
}

/// A random retaining head, the same on every rank, and what it scores: random rows have no RoPE
/// that would have to be undone, so the block's own.
std::vector<RetainingCase> random_retaining(const ApbConfig& config, ValueType type,
                                            const BlockLayout& layout,
                                            const std::vector<RowTensors>& inputs,
                                            SeededRandom& random) {
  constexpr Index kHidden = 32;
  const Index width = (config.num_q_heads + 2 * config.num_kv_heads) * config.head_dim;
  RetainingCase head{{}, {kHidden, width}, {config.num_kv_heads, kHidden}};
  // Scores of size 1.
  for (double& weight : head.fc1.reshaped()) weight = random.bell() / std::sqrt(width);
  for (double& weight : head.fc2.reshaped()) weight = random.bell() / std::sqrt(kHidden);
  round_all(type, head);
  std::vector<RetainingCase> all(inputs.size(), head);
  for (std::size_t number = 0; number < inputs.size(); ++number) {
    const RankLayout& rank = layout.ranks[number];
    Matrix<double>& input = all[number].input;
    input.resize(rank.block_len, width);
    Index column = 0;
    for (const auto* rows : {&inputs[number].query, &inputs[number].key, &inputs[number].value}) {
      for (Index h = 0; h < rows->heads(); ++h, column += config.head_dim) {
        input.middleCols(column, config.head_dim) =
            head_matrix(rows->view(), h).bottomRows(rank.block_len);
      }
    }
  }
  return all;
}

/// Zeros of every other row become -0: the same numbers, so the same entries are kept.
void sign_zero_importance(CaseFile& case_file) {
  for (CaseRank& rank : case_file.ranks) {
    for (Index row = 0; row < rank.importance.rows(); row += 2) {
      for (double& value : rank.importance.row(row).reshaped()) {
        if (value == 0) value = -0.0;
      }
    }
  }
}

/// Anchor rows, then block rows.
HeadsTensor<double> stacked(const HeadsTensor<double>& anchor, const HeadsTensor<double>& block) {
  HeadsTensor<double> rows = anchor;
  rows.append(block.view());
  return rows;
}

/// Where scores are huge, one rank has all the weight and a merge of ranks shows nothing. So every
/// other row and head of a query pass is made smaller, by a power of two, until none of its scores
/// is beyond 2.
void let_ranks_share(const CaseFile& case_file, HeadsTensor<double>& query) {
  const ApbConfig& config = case_file.config;
  for (Index row = 0; row < query.rows(); ++row) {
    for (Index head = row % 2; head < query.heads(); head += 2) {
      auto own = head_matrix(query.view(), head).row(row);
      double largest = 0;
      for (const CaseRank& rank : case_file.ranks) {
        const auto keys = head_matrix(rank.key.view(), head / config.group_size());
        for (const double score : (keys * own.transpose()).reshaped()) {
          if (std::isfinite(score)) largest = std::max(largest, std::abs(score));
        }
      }
      while (largest * config.softmax_scale > 2) {
        own /= 2;
        largest /= 2;
      }
    }
  }
}

}  // namespace

Adversary parse_adversary(std::string_view name) {
  for (const auto& [adversary, known] : kAdversaries) {
    if (known == name) return adversary;
  }
  throw BadInput("case", "adversarial", name, "one of " + adversary_names());
}

std::string adversary_names() {
  std::string names;
  for (const auto& [adversary, name] : kAdversaries) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

ApbConfig default_lengths(Adversary adversary) {
  ApbConfig lengths;
  lengths.num_q_heads = 8;
  lengths.num_kv_heads = 2;
  lengths.head_dim = 64;
  if (has_hard_scores(adversary)) {
    lengths.block_lens = {6000, 2500};
    lengths.anchor_len = 16;
    lengths.query_len = 4;
    lengths.num_kept = 1000;
    lengths.pool_kernel = 1;
    lengths.num_q_heads = 2;
    lengths.head_dim = 16;
  } else if (adversary == Adversary::kOffTile) {
    lengths.block_lens = {129, 127, 65, 63};
    lengths.anchor_len = 33;
    lengths.query_len = 7;
    lengths.num_kept = 17;
  } else if (adversary == Adversary::kEmptySegments) {
    lengths.block_lens = {40, 0, 13, 0, 1};
    lengths.anchor_len = 5;
    lengths.query_len = 3;
    lengths.num_kept = 9;
  } else {
    lengths.block_lens = {128, 128, 128, 128};
    lengths.anchor_len = 32;
    lengths.query_len = 8;
    lengths.num_kept = 16;
  }
  lengths.num_ranks = static_cast<int>(lengths.block_lens.size());
  for (const Index len : lengths.block_lens) lengths.doc_len += len;
  return lengths;
}

RowTensors random_rows(const ApbConfig& config, ValueType type, Index rows, SeededRandom& random) {
  RowTensors result;
  result.query = random_heads(type, rows, config.num_q_heads, config.head_dim, random);
  result.key = random_heads(type, rows, config.num_kv_heads, config.head_dim, random);
  result.value = random_heads(type, rows, config.num_kv_heads, config.head_dim, random);
  return result;
}

CaseFile random_case(Method method, const ApbConfig& config, ValueType type, Adversary adversary,
                     bool decode) {
  SeededRandom random(config.seed);
  const BlockLayout layout = make_block_layout(config);
  RowTensors anchor = random_rows(config, type, layout.ranks.back().anchor_rows, random);
  spoil(adversary, anchor, false, random);
  if (has_hard_scores(adversary)) score_by_first_channel(anchor.query);
  std::vector<RowTensors> inputs;
  for (const RankLayout& rank : layout.ranks) {
    RowTensors rows = random_rows(config, type, rank.block_len, random);
    spoil(adversary, rows, true, random);
    if (has_hard_scores(adversary)) {
      write_scores(
          hard_scores(adversary, type, rank.block_len, config.num_kv_heads, rank.num_kept, random),
          rows.key);
    }
    if (rank.anchor_rows > 0) {
      rows = {stacked(anchor.query, rows.query), stacked(anchor.key, rows.key),
              stacked(anchor.value, rows.value)};
    }
    inputs.push_back(std::move(rows));
  }
  std::vector<RetainingCase> retaining;
  if (scores_with_heads(config)) {
    retaining = random_retaining(config, type, layout, inputs, random);
  }
  CaseFile case_file = make_case(method, config, type, 0, std::move(inputs), std::move(retaining));
  if (adversary == Adversary::kSignedZeros || adversary == Adversary::kReluZeros ||
      adversary == Adversary::kNanWinners) {
    sign_zero_importance(case_file);
  }
  if (decode) {
    RowTensors query_rows = random_rows(config, type, config.query_len, random);
    spoil(adversary, query_rows, false, random);
    let_ranks_share(case_file, query_rows.query);
    add_decode(case_file, query_rows);
  }
  return case_file;
}

}  // namespace apb
