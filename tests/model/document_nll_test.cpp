// nll of document tokens: the row before a token predicts it, wherever that row lives.

#include <stdexcept>

#include "reference/core/weights/toy_model.hpp"
#include "reference/model/decode.hpp"
#include "tests/model/model_system.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

constexpr Index kNllDocLen = 150;

std::vector<Index> all_positions() {
  std::vector<Index> positions;
  for (Index doc_pos = 1; doc_pos < kNllDocLen; ++doc_pos) positions.push_back(doc_pos);
  return positions;
}

std::vector<std::vector<double>> nll_on_ranks(const ModelCase& work,
                                              const ModelWeights<double>& weights,
                                              const std::vector<Index>& positions) {
  const BlockLayout layout = layout_of(work);
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    const auto result = prefill_rank(work, weights, communicator);
    return document_nll(weights, {work.config, layout, communicator}, result.hidden, work.document,
                        positions);
  });
}

ModelCase lossy_case(int num_ranks, std::vector<Index> block_lens,
                     const ModelWeights<double>& weights) {
  ApbConfig config;
  config.doc_len = kNllDocLen;
  config.num_ranks = num_ranks;
  config.block_lens = std::move(block_lens);
  config.compressor = Compressor::kRecent;
  config.num_kept = 4;
  return make_model_case(Method::kApb, config, weights, 31);
}

TEST_CASE("document nll equals the direct computation, block borders included", "[nll]") {
  const auto weights = toy_weights<double>(32);
  for (const ModelCase& work :
       {lossy_case(1, {}, weights), lossy_case(3, {}, weights),
        lossy_case(4, {70, 0, 79, 1}, weights), lossy_case(3, {0, 150, 0}, weights)}) {
    CAPTURE(work.config.num_ranks, work.config.block_lens);
    const auto hidden = document_hidden(prefill_ranks(work, weights));
    const auto log_p = naive_log_probabilities(weights, hidden);
    std::vector<double> direct;
    for (const Index doc_pos : all_positions()) {
      direct.push_back(-log_p(doc_pos - 1, work.document[static_cast<std::size_t>(doc_pos)]));
    }
    for (const auto& nll : nll_on_ranks(work, weights, all_positions())) {
      CHECK(compare(nll, direct) <= model_tolerance<double>(1.0));
    }
    // A few positions: the first prediction, both sides of borders, the last token.
    const std::vector<Index> few{1, 49, 50, 51, 70, 71, 149};
    std::vector<double> few_direct;
    for (const Index doc_pos : few)
      few_direct.push_back(direct[static_cast<std::size_t>(doc_pos - 1)]);
    for (const auto& nll : nll_on_ranks(work, weights, few)) {
      CHECK(compare(nll, few_direct) <= model_tolerance<double>(1.0));
    }
    CHECK(nll_on_ranks(work, weights, {}).front().empty());
  }
}

TEST_CASE("the first token has no prediction", "[nll]") {
  const auto weights = toy_weights<double>(33);
  const ModelCase work = lossy_case(2, {}, weights);
  CHECK_THROWS_AS(nll_on_ranks(work, weights, {0, 1}), std::logic_error);
}

TEST_CASE("there is no token after the last", "[nll]") {
  const auto weights = toy_weights<double>(33);
  const ModelCase work = lossy_case(2, {}, weights);
  const Index doc_len = std::ssize(work.document);
  CHECK_NOTHROW(nll_on_ranks(work, weights, {doc_len - 1}));
  CHECK_THROWS_AS(nll_on_ranks(work, weights, {doc_len}), std::invalid_argument);
}

}  // namespace
}  // namespace apb
