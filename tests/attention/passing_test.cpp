// The passing exchange, exactly: every element says which rank, head and document position it came
// from.

#include "reference/attention/passing.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

constexpr Index kNumKvHeads = 3;
constexpr Index kHeadDim = 2;

/// Exact in float: at most 8 * 7 * 128 * 4 distinct values.
template <class Scalar>
Scalar code(int rank, Index head, Index doc_pos, Index element, bool is_value) {
  const Index number = (((rank * 8 + head) * 128 + doc_pos) * 4 + element) * 2 + (is_value ? 1 : 0);
  return static_cast<Scalar>(number);
}

template <class Scalar>
HeadsTensor<Scalar> coded_block(const RankLayout& layout, int rank, bool is_value) {
  HeadsTensor<Scalar> block(layout.block_len, kNumKvHeads, kHeadDim);
  for (Index row = 0; row < layout.block_len; ++row) {
    for (Index head = 0; head < kNumKvHeads; ++head) {
      for (Index i = 0; i < kHeadDim; ++i) {
        block.view().at(row, head)[i] =
            code<Scalar>(rank, head, layout.block_begin + row, i, is_value);
      }
    }
  }
  return block;
}

/// Random candidates, another set for every KV head, ascending.
template <class Scalar>
Selection<Scalar> random_selection(const RankLayout& layout, RandomTensors& random) {
  Selection<Scalar> selection;
  for (Index head = 0; head < kNumKvHeads; ++head) {
    std::vector<Index> kept;
    Index wanted = layout.num_kept;
    for (Index doc_pos = layout.candidate_begin; doc_pos < layout.block_end(); ++doc_pos) {
      const Index left = layout.block_end() - doc_pos;
      if (random.below(left) >= wanted) continue;
      kept.push_back(doc_pos);
      --wanted;
    }
    selection.kept_positions.push_back(kept);
  }
  return selection;
}

ApbConfig random_config(RandomTensors& random) {
  ApbConfig config;
  config.doc_len = random.below(60);
  config.num_ranks = static_cast<int>(2 + random.below(6));
  if (random.below(2) == 0) config.block_lens = random.split(config.doc_len, config.num_ranks);
  config.anchor_len = random.below(config.resolved_block_lens().front() + 1);
  config.compressor = Compressor::kRandom;
  config.num_kept = random.below(9);
  return config;
}

template <class Scalar>
struct Outcome {
  PassingBlock<Scalar> passing;
  std::int64_t bytes_received = 0;
  std::int64_t bytes_sent = 0;
};

/// What rank `rank` must hold: entries of all lower ranks, ranks ascending.
template <class Scalar>
HeadsTensor<Scalar> expected_passing(const std::vector<Selection<Scalar>>& selections,
                                     const BlockLayout& layout, int rank, bool is_value) {
  HeadsTensor<Scalar> expected(layout.ranks[static_cast<std::size_t>(rank)].passing_rows,
                               kNumKvHeads, kHeadDim);
  for (Index head = 0; head < kNumKvHeads; ++head) {
    Index row = 0;
    for (int lower = 0; lower < rank; ++lower) {
      const auto& kept = selections[static_cast<std::size_t>(lower)].kept_positions;
      for (const Index doc_pos : kept[static_cast<std::size_t>(head)]) {
        for (Index i = 0; i < kHeadDim; ++i) {
          expected.view().at(row, head)[i] = code<Scalar>(lower, head, doc_pos, i, is_value);
        }
        ++row;
      }
    }
  }
  return expected;
}

TEMPLATE_TEST_CASE("every rank receives what the lower ranks kept, entry by entry", "[passing]",
                   float, double) {
  RandomTensors random(71);
  Index entries = 0;
  for (int round = 0; round < 100; ++round) {
    const ApbConfig config = random_config(random);
    const BlockLayout layout = make_block_layout(config);
    CAPTURE(config.doc_len, config.num_ranks, config.block_lens, config.num_kept);
    std::vector<Selection<TestType>> selections;
    for (const RankLayout& own : layout.ranks) {
      selections.push_back(random_selection<TestType>(own, random));
    }

    const auto outcomes = on_local_ranks(config.num_ranks, [&](Communicator& communicator) {
      const int rank = communicator.rank();
      const auto r = static_cast<std::size_t>(rank);
      const auto key = coded_block<TestType>(layout.ranks[r], rank, false);
      const auto value = coded_block<TestType>(layout.ranks[r], rank, true);
      auto passing = exchange_passing_block<TestType>(layout, key.view(), value.view(),
                                                      selections[r], communicator);
      return Outcome<TestType>{std::move(passing), communicator.bytes_received(),
                               communicator.bytes_sent()};
    });

    std::int64_t all_kept = 0;
    for (const RankLayout& own : layout.ranks) all_kept += own.num_kept;
    constexpr std::int64_t kEntryBytes = 2 * kNumKvHeads * kHeadDim * sizeof(TestType);
    for (int rank = 0; rank < config.num_ranks; ++rank) {
      const Outcome<TestType>& outcome = outcomes[static_cast<std::size_t>(rank)];
      const std::int64_t kept = layout.ranks[static_cast<std::size_t>(rank)].num_kept;
      CAPTURE(rank);
      CHECK(bit_equal(outcome.passing.key,
                      expected_passing<TestType>(selections, layout, rank, false)));
      CHECK(bit_equal(outcome.passing.value,
                      expected_passing<TestType>(selections, layout, rank, true)));
      CHECK(outcome.bytes_received == (all_kept - kept) * kEntryBytes);
      CHECK(outcome.bytes_sent == kept * (config.num_ranks - 1) * kEntryBytes);
      entries += outcome.passing.key.rows();
    }
  }
  CHECK(entries > 1000);
}

}  // namespace
}  // namespace apb
