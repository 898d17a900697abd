#pragma once
/// \file
/// What `apb demo` shows: the document cut over the ranks, what was kept and passed, one table, and
/// two sentences that are true for what was measured.

#include <string>
#include <vector>

#include "reference/model/evaluate.hpp"
#include "reference/tools/demo/demo_story.hpp"

namespace apb {

/// One line of the table.
struct DemoResult {
  std::string label;  ///< e.g. "APB, query-aware"
  Method method = Method::kFull;
  double restated_nll = 0;  ///< nats a digit
  std::string answer{};     ///< greedy
  bool answer_right = false;
  double answer_nll = 0;            ///< nats a token, teacher-forced
  double first_token_kl = 0;        ///< KL(Full || this) of the first answer token, nats
  double answer_kl = 0;             ///< the same, mean over all answer tokens
  Index busiest_rows = 0;           ///< rows a layer of the busiest rank
  std::int64_t sent_bytes = 0;      ///< per layer, by the rank that sends most
  std::int64_t received_bytes = 0;  ///< per layer, by the rank that receives most
  double prefill_s = 0;
};

/// The document cut over the ranks, with anchor, fact and restatement.
[[nodiscard]] std::string draw_document(const DemoStory& story, const BlockLayout& layout,
                                        const ApbConfig& config);

/// Which tokens each rank kept and passed in one layer.
/// \param kept        [rank][kv_head] kept positions of that layer
/// \param layer       counted from 0, of num_layers
[[nodiscard]] std::string draw_kept(const DemoStory& story, const BlockLayout& layout,
                                    const std::vector<std::vector<std::vector<Index>>>& kept,
                                    Index layer, Index num_layers);

[[nodiscard]] std::string draw_table(const std::vector<DemoResult>& results);

/// Two sentences about the results, in the order Full, Star (block anchor), Star, APB query-aware,
/// random, recent.
[[nodiscard]] std::string conclude(const std::vector<DemoResult>& results, const ApbConfig& config,
                                   int cores);

}  // namespace apb
