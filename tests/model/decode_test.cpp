// Query pass and decode over caches on several ranks.

#include "reference/model/decode.hpp"
#include "reference/core/weights/toy_model.hpp"

#include <stdexcept>

#include "tests/model/model_system.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

constexpr Index kDocLen = 43;

/// An exact method, or APB that keeps everything: every rank's part of exact attention.
ModelCase exact_case(int num_ranks, std::vector<Index> block_lens,
                     const ModelWeights<double>& weights, Method method = Method::kApb) {
  ApbConfig config;
  config.doc_len = kDocLen;
  config.num_ranks = num_ranks;
  config.block_lens = std::move(block_lens);
  config.compressor = Compressor::kRandom;
  config.num_kept = kDocLen;
  return make_model_case(method, config, weights, 21);
}

/// One to four ranks, some without a single token, the last among them.
std::vector<ModelCase> exact_cases(const ModelWeights<double>& weights) {
  return {exact_case(1, {}, weights),
          exact_case(2, {}, weights),
          exact_case(3, {0, 43, 0}, weights),
          exact_case(3, {20, 3, 20}, weights),
          exact_case(4, {1, 0, 40, 2}, weights),
          exact_case(4, {}, weights),
          exact_case(3, {20, 3, 20}, weights, Method::kRing),
          exact_case(4, {}, weights, Method::kZigzagRing),
          exact_case(3, {0, 40, 3}, weights, Method::kUlysses)};
}

struct QueryPassOutcome {
  Matrix<double> hidden;
  KvCache<double> cache;
};

std::vector<QueryPassOutcome> run_query_pass(const ModelCase& work,
                                             const ModelWeights<double>& weights,
                                             const std::vector<int>& query) {
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    const BlockLayout layout = layout_of(work);
    auto cache = prefill_rank(work, weights, communicator).cache;
    auto hidden = query_pass(work.method, {work.config, layout, communicator}, weights, cache,
                             query, kDocLen);
    return QueryPassOutcome{std::move(hidden), std::move(cache)};
  });
}

TEST_CASE("query pass of several rows: no key is hidden on any rank", "[decode]") {
  const auto weights = toy_weights<double>(22);
  const std::vector<int> query{5, 250, 17, 17, 99, 3, 0};
  for (const ModelCase& work : exact_cases(weights)) {
    CAPTURE(work.config.num_ranks, work.config.block_lens);
    std::vector<int> tokens = work.document;
    tokens.insert(tokens.end(), query.begin(), query.end());
    const Matrix<double> expected = naive_hidden(weights, tokens).bottomRows(std::ssize(query));
    const double tolerance = model_tolerance<double>(expected.cwiseAbs().maxCoeff());
    const auto outcomes = run_query_pass(work, weights, query);
    for (const auto& outcome : outcomes) {
      CHECK(compare(outcome.hidden, expected) <= tolerance);
      CHECK(bit_equal(outcome.hidden, outcomes.front().hidden));
    }
  }
}

TEST_CASE("query pass: only the last rank appends", "[decode]") {
  const auto weights = toy_weights<double>(23);
  for (const ModelCase& work : exact_cases(weights)) {
    const auto outcomes = run_query_pass(work, weights, {1, 2, 3});
    const auto block_lens = work.config.resolved_block_lens();
    for (std::size_t rank = 0; rank < outcomes.size(); ++rank) {
      const Index appended = rank + 1 == outcomes.size() ? 3 : 0;
      for (const auto& layer : outcomes[rank].cache.layers) {
        CHECK(layer.key.rows() == block_lens[rank] + appended);
        CHECK(layer.value.rows() == block_lens[rank] + appended);
      }
    }
  }
}

std::vector<std::vector<int>> decode(const ModelCase& work, const ModelWeights<double>& weights,
                                     Index max_tokens) {
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    const BlockLayout layout = layout_of(work);
    auto prefilled = prefill_rank(work, weights, communicator);
    return greedy_decode(work.method, {work.config, layout, communicator}, weights, prefilled,
                         {9, 8, 7}, max_tokens);
  });
}

/// The answer by a plain forward pass over everything for every token.
std::vector<int> naive_decode(const ModelCase& work, const ModelWeights<double>& weights,
                              int max_tokens) {
  std::vector<int> tokens = work.document;
  tokens.insert(tokens.end(), {9, 8, 7});
  std::vector<int> answer;
  for (int step = 0; step < max_tokens; ++step) {
    const Matrix<double> last = naive_hidden(weights, tokens).bottomRows(1);
    Index best = 0;
    naive_log_probabilities(weights, last).row(0).maxCoeff(&best);
    answer.push_back(static_cast<int>(best));
    tokens.push_back(answer.back());
  }
  return answer;
}

TEST_CASE("greedy decode gives the same tokens on one to four ranks", "[decode]") {
  const auto weights = toy_weights<double>(24);
  const auto cases = exact_cases(weights);
  const std::vector<int> expected = naive_decode(cases.front(), weights, 8);
  for (const ModelCase& work : cases) {
    CAPTURE(work.config.num_ranks, work.config.block_lens);
    for (const auto& answer : decode(work, weights, 8)) CHECK(answer == expected);
  }
}

TEST_CASE("greedy decode stops at max_tokens and before the end-of-sequence token", "[decode]") {
  auto weights = toy_weights<double>(24);
  const ModelCase work = exact_case(2, {}, weights);
  const std::vector<int> answer = decode(work, weights, 8).front();
  REQUIRE(answer.size() == 8);
  CHECK(decode(work, weights, 0).front().empty());
  CHECK(decode(work, weights, 1).front() == std::vector<int>{answer[0]});
  weights.shape.eos_token_ids = {10000, answer[3]};
  const auto stop = std::find(answer.begin(), answer.end(), answer[3]);
  for (const auto& ended : decode(work, weights, 8)) {
    CHECK(ended == std::vector<int>(answer.begin(), stop));
  }
}

TEST_CASE("among equally probable tokens the lowest id is chosen", "[decode]") {
  auto weights = toy_weights<double>(25);
  const ModelCase work = exact_case(1, {}, weights);
  const int best = decode(work, weights, 1).front().front();
  for (const int twin : {(best + 100) % 256, (best + 200) % 256}) {
    auto doubled = weights;
    doubled.head = weights.embedding;
    doubled.head.row(twin) = weights.embedding.row(best);
    CHECK(decode(work, doubled, 1).front().front() == std::min(best, twin));
  }
}

TEST_CASE("teacher forcing: probabilities of the answer's tokens, cache as before", "[decode]") {
  const auto weights = toy_weights<double>(26);
  const std::vector<int> query{9, 8, 7};
  const std::vector<int> answer{200, 10, 10, 55};
  struct Outcome {
    Matrix<double> log_probabilities;
    bool cache_unchanged = true;
  };
  for (const ModelCase& work : exact_cases(weights)) {
    CAPTURE(work.config.num_ranks, work.config.block_lens);
    std::vector<int> tokens = work.document;
    tokens.insert(tokens.end(), query.begin(), query.end());
    tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
    const Matrix<double> hidden = naive_hidden(weights, tokens).bottomRows(4);
    const auto expected = naive_log_probabilities(weights, hidden);

    const auto outcomes = on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
      const BlockLayout layout = layout_of(work);
      auto prefilled = prefill_rank(work, weights, communicator);
      const auto before = prefilled.cache;
      const auto& cache = prefilled.cache;
      Outcome outcome;
      outcome.log_probabilities = teacher_forced(work.method, {work.config, layout, communicator},
                                                 weights, prefilled, query, answer);
      for (std::size_t layer = 0; layer < cache.layers.size(); ++layer) {
        outcome.cache_unchanged = outcome.cache_unchanged &&
                                  bit_equal(cache.layers[layer].key, before.layers[layer].key) &&
                                  bit_equal(cache.layers[layer].value, before.layers[layer].value);
      }
      return outcome;
    });
    for (const auto& [log_probabilities, cache_unchanged] : outcomes) {
      CHECK(compare(log_probabilities, expected) <=
            model_tolerance<double>(hidden.cwiseAbs().maxCoeff()));
      CHECK(cache_unchanged);
    }
  }
}

TEST_CASE("teacher forcing needs a query and an answer", "[decode]") {
  const auto weights = toy_weights<double>(27);
  const ModelCase work = exact_case(1, {}, weights);
  const auto force = [&](const std::vector<int>& query, const std::vector<int>& answer) {
    (void)on_local_ranks(1, [&](Communicator& communicator) {
      const BlockLayout layout = layout_of(work);
      auto prefilled = prefill_rank(work, weights, communicator);
      return teacher_forced(work.method, {work.config, layout, communicator}, weights, prefilled,
                            query, answer);
    });
  };
  CHECK_NOTHROW(force({1}, {2}));
  CHECK_THROWS_AS(force({}, {2}), std::invalid_argument);
  CHECK_THROWS_AS(force({1}, {}), std::invalid_argument);
}

TEST_CASE("greedy decoding needs a query", "[decode]") {
  const auto weights = toy_weights<double>(27);
  const ModelCase work = exact_case(1, {}, weights);
  const auto decode = [&](const std::vector<int>& query) {
    (void)on_local_ranks(1, [&](Communicator& communicator) {
      const BlockLayout layout = layout_of(work);
      auto prefilled = prefill_rank(work, weights, communicator);
      return greedy_decode(work.method, {work.config, layout, communicator}, weights, prefilled,
                           query, 1);
    });
  };
  CHECK_NOTHROW(decode({1}));
  CHECK_THROWS_AS(decode({}), std::invalid_argument);
}

TEMPLATE_TEST_CASE("log probabilities: the formula, summing to one", "[decode]", float, double) {
  const auto weights = toy_weights<TestType>(28);
  RandomTensors random(29);
  const Matrix<TestType> hidden = 5 * random.matrix<TestType>(3, 96);
  const auto actual = log_probabilities(weights, hidden);
  const auto expected =
      naive_log_probabilities(weights, Matrix<double>(hidden.template cast<double>()));
  CHECK(compare(actual, expected) <= model_tolerance<TestType>(1.0));
  const Matrix<double> sums = actual.array().exp().rowwise().sum().matrix();
  CHECK(compare(sums, Matrix<double>(Matrix<double>::Ones(3, 1))) <= 1e-12);
}

}  // namespace
}  // namespace apb
