// Every exact method gives the toy model's own answers: hidden states, caches, nll, decode. So does
// Spava that keeps everything, its query fused into the prefill, and APE with one context.

#include "reference/core/weights/toy_model.hpp"
#include "reference/model/decode.hpp"
#include "tests/model/model_system.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

constexpr Index kMethodsDocLen = 45;
constexpr Index kQueryLen = 4;
const std::vector<int> kAnswer{200, 10, 55};

struct Setting {
  Method method;
  int num_ranks;
};

ModelCase case_of(const Setting& setting, const ModelWeights<double>& weights) {
  ApbConfig config;
  config.doc_len = kMethodsDocLen;
  config.num_ranks = setting.num_ranks;
  config.query_len = config.embedded_query_len = kQueryLen;
  config.anchor_len = setting.method == Method::kApe || setting.method == Method::kSpava ? 3 : 0;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = kMethodsDocLen;
  return make_model_case(setting.method, config, weights, 41);
}

struct Outcome {
  std::vector<double> nll;
  Matrix<double> forced;
  std::vector<int> answer;
};

std::vector<Outcome> run(const ModelCase& work, const ModelWeights<double>& weights) {
  std::vector<Index> positions;
  for (Index doc_pos = 1; doc_pos < kMethodsDocLen; ++doc_pos) positions.push_back(doc_pos);
  const BlockLayout layout = layout_of(work);
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    const RankContext context{work.config, layout, communicator};
    auto prefilled = prefill_rank(work, weights, communicator);
    const std::vector<int>& query = work.embedded_query;
    Outcome outcome;
    outcome.nll = document_nll(weights, context, prefilled.hidden, work.document, positions);
    outcome.forced = teacher_forced(work.method, context, weights, prefilled, query, kAnswer);
    outcome.answer = greedy_decode(work.method, context, weights, prefilled, query, 6);
    return outcome;
  });
}

/// By a plain forward pass over everything.
Outcome naive(const ModelCase& work, const ModelWeights<double>& weights) {
  std::vector<int> tokens = work.document;
  tokens.insert(tokens.end(), work.embedded_query.begin(), work.embedded_query.end());
  const auto log_p_of = [&](const std::vector<int>& of) {
    return naive_log_probabilities(weights, naive_hidden(weights, of));
  };
  Outcome outcome;
  const Matrix<double> log_p = log_p_of(work.document);
  for (Index doc_pos = 1; doc_pos < kMethodsDocLen; ++doc_pos) {
    outcome.nll.push_back(-log_p(doc_pos - 1, work.document[static_cast<std::size_t>(doc_pos)]));
  }
  std::vector<int> forced = tokens;
  forced.insert(forced.end(), kAnswer.begin(), kAnswer.end() - 1);
  outcome.forced = log_p_of(forced).bottomRows(3);
  for (int step = 0; step < 6; ++step) {
    Index best = 0;
    log_p_of(tokens).bottomRows(1).row(0).maxCoeff(&best);
    outcome.answer.push_back(static_cast<int>(best));
    tokens.push_back(outcome.answer.back());
  }
  return outcome;
}

/// Every exact method on any number of ranks; others where they happen to be exact: APE's only
/// context, Spava that keeps everything.
std::vector<Setting> exact_settings() {
  std::vector<Setting> settings{
      {Method::kApe, 1}, {Method::kSpava, 1}, {Method::kSpava, 2}, {Method::kSpava, 4}};
  for (const MethodEntry& entry : kMethodList) {
    if (!entry.exact) continue;
    for (int num_ranks = 1; num_ranks <= 5; ++num_ranks) {
      settings.push_back({entry.method, num_ranks});
    }
  }
  return settings;
}

TEST_CASE("exact methods: nll, teacher forcing and answer of the plain model", "[prefill]") {
  const auto weights = toy_weights<double>(42);
  const Outcome expected = naive(case_of({Method::kFull, 1}, weights), weights);
  for (const Setting& setting : exact_settings()) {
    CAPTURE(to_string(setting.method), setting.num_ranks);
    const double tolerance = model_tolerance<double>(expected.forced.cwiseAbs().maxCoeff());
    for (const Outcome& outcome : run(case_of(setting, weights), weights)) {
      CHECK(compare(outcome.nll, expected.nll) <= tolerance);
      CHECK(compare(outcome.forced, expected.forced) <= tolerance);
      CHECK(outcome.answer == expected.answer);
    }
  }
}

TEST_CASE("a fused query is the query that is decoded", "[decode]") {
  const auto weights = toy_weights<double>(43);
  const ModelCase work = case_of({Method::kSpava, 1}, weights);
  const BlockLayout layout = layout_of(work);
  (void)on_local_ranks(1, [&](Communicator& communicator) {
    const RankContext context{work.config, layout, communicator};
    auto prefilled = prefill_rank(work, weights, communicator);
    CHECK(prefilled.query_hidden.rows() == kQueryLen);
    CHECK_THROWS_AS(greedy_decode(work.method, context, weights, prefilled, {1, 2}, 2),
                    std::invalid_argument);
    return 0;
  });
}

}  // namespace
}  // namespace apb
