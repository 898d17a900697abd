// Importance before pooling: query-aware against its definition, random and recent by document
// position only.

#include "reference/attention/block_scores.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/moved_tensor.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

TEST_CASE("random_score: values made with another implementation of the hash", "[compressor]") {
  // SplitMix64's finaliser over seed, then layer, KV head and doc_pos, in Python.
  CHECK(random_score(0, 0, 0, 0) == 0x1.0983a45556400p-3);
  CHECK(random_score(1, 2, 3, 4) == 0x1.aab99a95d6799p-1);
  CHECK(random_score(42, 31, 7, 131071) == 0x1.86ad662d1b9f4p-1);
  CHECK(random_score(~std::uint64_t{0}, 0, 1, 1073741824) == 0x1.c299b12297000p-1);
}

TEST_CASE("random_score: in [0, 1), evenly spread, different wherever an argument differs",
          "[compressor]") {
  std::vector<double> scores;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (Index layer = 0; layer < 4; ++layer) {
      for (Index head = 0; head < 4; ++head) {
        for (Index doc_pos = 0; doc_pos < 500; ++doc_pos) {
          scores.push_back(random_score(seed, layer, head, doc_pos));
        }
      }
    }
  }
  std::sort(scores.begin(), scores.end());
  CHECK(scores.front() >= 0.0);
  CHECK(scores.back() < 1.0);
  CHECK(std::adjacent_find(scores.begin(), scores.end()) == scores.end());
  // 24,000 uniform values: each tenth of them lies within five standard deviations of its place.
  for (std::size_t tenth = 1; tenth < 10; ++tenth) {
    const double quantile = scores[tenth * scores.size() / 10];
    CHECK(std::abs(quantile - static_cast<double>(tenth) / 10) <= 0.017);
  }
}

template <class Scalar>
Matrix<double> naive_query_aware(const HeadsTensor<Scalar>& query, const HeadsTensor<Scalar>& key) {
  const Index group = query.heads() / key.heads();
  Matrix<double> scores(key.rows(), key.heads());
  for (Index j = 0; j < key.rows(); ++j) {
    for (Index head = 0; head < key.heads(); ++head) {
      double sum = 0;
      for (Index i = 0; i < query.rows(); ++i) {
        for (Index q_head = head * group; q_head < (head + 1) * group; ++q_head) {
          for (Index d = 0; d < key.head_dim(); ++d) {
            sum += static_cast<double>(query.view().at(i, q_head)[d]) *
                   static_cast<double>(key.view().at(j, head)[d]);
          }
        }
      }
      scores(j, head) = sum / static_cast<double>(query.rows() * group);
    }
  }
  return scores;
}

TEMPLATE_TEST_CASE("query_aware: the mean over query rows and heads of the group of q k",
                   "[compressor]", float, double) {
  RandomTensors random(61);
  constexpr auto kEps = static_cast<double>(std::numeric_limits<TestType>::epsilon());
  for (const Index query_rows : {1, 2, 19}) {
    for (const Index block_rows : {0, 1, 17, 64}) {
      for (const Index group : {1, 3}) {
        CAPTURE(query_rows, block_rows, group);
        const auto query = random.heads<TestType>(query_rows, 2 * group, 16);
        const auto key = random.heads<TestType>(block_rows, 2, 16);
        Counters counters;
        const auto scores = query_aware_scores<TestType>(query.view(), key.view(), counters);
        // Sums of `terms` numbers of size at most 1, then of 16 products of them.
        const double terms = static_cast<double>(query_rows * group + 16);
        CHECK(compare(scores, naive_query_aware(query, key)) <= 16 * terms * kEps);
        CHECK(counters == Counters{.compressor_flop = 2 * block_rows * 2 * 16});
      }
    }
  }
}

TEMPLATE_TEST_CASE("query_aware: anywhere in memory the same bits", "[compressor]", float, double) {
  RandomTensors random(62);
  for (const Index block_rows : {1, 2, 7, 50}) {
    for (const Index head_dim : {1, 3, 8, 16}) {
      const auto query = random.heads<TestType>(3, 4, head_dim);
      const auto key = random.heads<TestType>(block_rows, 2, head_dim);
      Counters counters;
      const auto scores = query_aware_scores<TestType>(query.view(), key.view(), counters);
      for (const Index shift : {1, 2, 3, 5}) {
        CAPTURE(block_rows, head_dim, shift);
        const MovedTensor<TestType> moved_query(query, shift, 0);
        const MovedTensor<TestType> moved_key(key, shift, shift);
        CHECK(bit_equal(
            query_aware_scores<TestType>(moved_query.view(), moved_key.view(), counters), scores));
      }
    }
  }
}

struct System {
  ApbConfig config;
  BlockLayout layout;
};

System system_of(int num_ranks, Compressor compressor, AnchorConvention convention) {
  ApbConfig config;
  config.doc_len = 41;
  config.num_ranks = num_ranks;
  config.embedded_query_len = 3;
  config.anchor_len = 5;
  config.anchor_convention = convention;
  config.query_insert_at = convention == AnchorConvention::kOfficial ? 2 : 0;
  config.compressor = compressor;
  config.num_q_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  return {config, make_block_layout(config)};
}

/// Scores of all blocks one after the other, [doc_len, num_kv_heads].
template <class Scalar>
Matrix<Scalar> document_scores(const System& system, Index layer) {
  const auto scores = on_local_ranks(system.config.num_ranks, [&](Communicator& communicator) {
    const auto& own = system.layout.ranks[static_cast<std::size_t>(communicator.rank())];
    const HeadsTensor<Scalar> query(own.rows(), 4, 8);
    const HeadsTensor<Scalar> key(own.block_len, 2, 8);
    Counters counters;
    auto own_scores = block_scores<Scalar>(system.config, own, layer, query.view(), key.view(),
                                           communicator, counters);
    return counters == Counters{} ? own_scores : Matrix<Scalar>();
  });
  Matrix<Scalar> all(0, 2);
  for (const auto& part : scores) {
    all.conservativeResize(all.rows() + part.rows(), Eigen::NoChange);
    all.bottomRows(part.rows()) = part;
  }
  return all;
}

TEMPLATE_TEST_CASE("random and recent depend on the document position, not on ranks",
                   "[compressor]", float, double) {
  for (const int num_ranks : {1, 2, 3, 5, 8}) {
    CAPTURE(num_ranks);
    System system = system_of(num_ranks, Compressor::kRandom, AnchorConvention::kPaper);
    system.config.seed = 77;
    Matrix<TestType> expected(41, 2);
    for (Index doc_pos = 0; doc_pos < 41; ++doc_pos) {
      for (Index head = 0; head < 2; ++head) {
        expected(doc_pos, head) = static_cast<TestType>(random_score(77, 6, head, doc_pos));
      }
    }
    CHECK(bit_equal(document_scores<TestType>(system, 6), expected));
    system.config.compressor = Compressor::kRecent;
    for (Index doc_pos = 0; doc_pos < 41; ++doc_pos) {
      expected.row(doc_pos).setConstant(static_cast<TestType>(doc_pos));
    }
    CHECK(bit_equal(document_scores<TestType>(system, 6), expected));
  }
}

TEMPLATE_TEST_CASE("query_aware scores with this rank's query rows, rank 0 with rank 1's",
                   "[compressor]", float, double) {
  const auto convention = GENERATE(AnchorConvention::kPaper, AnchorConvention::kOfficial);
  const System system = system_of(3, Compressor::kQueryAware, convention);
  // Element (row, head, i) of rank r is 1000 r + 100 row + 10 head + i: all distinct.
  const auto rows_of = [&](int rank) {
    HeadsTensor<TestType> query(system.layout.ranks[static_cast<std::size_t>(rank)].rows(), 4, 8);
    for (Index row = 0; row < query.rows(); ++row) {
      for (Index head = 0; head < 4; ++head) {
        for (Index i = 0; i < 8; ++i) {
          query.view().at(row, head)[i] =
              static_cast<TestType>(1000 * rank + 100 * row + 10 * head + i);
        }
      }
    }
    return query;
  };
  struct Outcome {
    HeadsTensor<TestType> rows;
    std::int64_t bytes_sent = 0;
    std::int64_t bytes_received = 0;
  };
  const auto outcomes = on_local_ranks(3, [&](Communicator& communicator) {
    const int rank = communicator.rank();
    const auto query = rows_of(rank);
    auto rows = embedded_query_rows<TestType>(system.config,
                                              system.layout.ranks[static_cast<std::size_t>(rank)],
                                              query.view(), communicator);
    return Outcome{std::move(rows), communicator.bytes_sent(), communicator.bytes_received()};
  });
  const Index first_query_row = system.config.query_insert_at;
  const std::int64_t bytes = 3 * 4 * 8 * sizeof(TestType);
  for (int rank = 0; rank < 3; ++rank) {
    CAPTURE(rank);
    HeadsTensor<TestType> expected(0, 4, 8);
    const auto source = rows_of(std::max(rank, 1));
    expected.append(source.view().slice(first_query_row, 3));
    const Outcome& outcome = outcomes[static_cast<std::size_t>(rank)];
    CHECK(bit_equal(outcome.rows, expected));
    CHECK(outcome.bytes_sent == (rank == 1 ? bytes : 0));
    CHECK(outcome.bytes_received == (rank == 0 ? bytes : 0));
  }
}

TEST_CASE("compressor none has no scores", "[compressor]") {
  const System system = system_of(1, Compressor::kNone, AnchorConvention::kPaper);
  const HeadsTensor<double> query(41, 4, 8);
  const HeadsTensor<double> key(41, 2, 8);
  CHECK_THROWS_AS(on_local_ranks(1,
                                 [&](Communicator& communicator) {
                                   Counters counters;
                                   return block_scores<double>(
                                       system.config, system.layout.ranks[0], 0, query.view(),
                                       key.view(), communicator, counters);
                                 }),
                  std::logic_error);
}

}  // namespace
}  // namespace apb
