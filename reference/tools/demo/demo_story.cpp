#include "reference/tools/demo/demo_story.hpp"

#include <fmt/core.h>

namespace apb {
namespace {

constexpr const char* kOpening =
    "An important pass key is hidden in the following text. Find it and remember it. ";
constexpr const char* kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";

/// The fact stands after a third of the fillers (rank 1 of 4), its restatement after nine tenths.
constexpr double kFactDepth = 0.34;
constexpr double kRestatementDepth = 0.9;

/// Bytes [begin, end) of a sentence appended to a text.
std::pair<Index, Index> append(std::string& text, const std::string& sentence) {
  const Index begin = std::ssize(text);
  text += sentence;
  return {begin, std::ssize(text)};
}

}  // namespace

DemoStory tell_story(const Tokenizer& tokenizer, const std::string& key, int num_fillers) {
  const int fact_at = static_cast<int>(kFactDepth * num_fillers);
  const int restatement_at = static_cast<int>(kRestatementDepth * num_fillers);
  std::string text = kOpening;
  std::pair<Index, Index> fact;
  std::pair<Index, Index> restatement;
  for (int filler = 0; filler < num_fillers; ++filler) {
    if (filler == fact_at) {
      fact =
          append(text, fmt::format("The pass key is {0}. Remember it. {0} is the pass key. ", key));
    }
    if (filler == restatement_at) {
      restatement = append(text, fmt::format("I repeat it now: the pass key is {}. ", key));
    }
    text += kFiller;
  }
  const auto digits_begin =
      static_cast<Index>(text.find(key, static_cast<std::size_t>(restatement.first)));

  const auto encoded = tokenizer.encode({text, kDemoQuery, " " + key});
  const EncodedText document = beginning(encoded[0]);
  return {
      .before_text = tokenizer.decode(encoded[0].before),
      .document = document.ids,
      .query = encoded[1].ids,
      .expected_answer = encoded[2].ids,
      .fact = document.tokens_of_bytes(fact.first, fact.second),
      .restatement = document.tokens_of_bytes(restatement.first, restatement.second),
      .restated_digits = document.tokens_of_bytes(digits_begin, digits_begin + std::ssize(key))};
}

}  // namespace apb
