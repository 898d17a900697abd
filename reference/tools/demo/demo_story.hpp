#pragma once
/// \file
/// The demo's document: a fact told in an early rank's block and restated by the document itself in
/// the last rank's. Answering a question about the fact needs no exchange during prefill (the
/// question attends to every rank's cache); *predicting the restatement* does: it is decided in
/// prefill on the last rank, where only a passing block can bring the fact.

#include <string>
#include <utility>
#include <vector>

#include "reference/model_io/tokenizer.hpp"

namespace apb {

/// Tokens [begin, end) of the document.
using TokenRange = std::pair<Index, Index>;

struct DemoStory {
  std::string
      before_text{};  ///< what the tokenizer puts before a text: the document's first tokens
  std::vector<int> document{};
  std::vector<int> query{};
  std::vector<int> expected_answer{};
  TokenRange fact{};             ///< the sentences that tell the fact
  TokenRange restatement{};      ///< the sentence that restates it
  TokenRange restated_digits{};  ///< the key's digits in that sentence: what is predicted
};

inline constexpr const char* kDemoQuery = " What is the pass key? The pass key is";

/// \param key         digits of the pass key
/// \param num_fillers filler lines of about 24 tokens in all (75 make about 1,860 tokens)
[[nodiscard]] DemoStory tell_story(const Tokenizer& tokenizer, const std::string& key,
                                   int num_fillers);

}  // namespace apb
