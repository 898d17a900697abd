#include "reference/tools/demo/demo_report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "reference/cli/text_table.hpp"

namespace apb {
namespace {

constexpr Index kCells = 60;  ///< cells that the longest block is drawn with

/// How many tokens one cell stands for.
Index tokens_per_cell(const BlockLayout& layout) {
  Index longest = 1;
  for (const RankLayout& rank : layout.ranks) longest = std::max(longest, rank.block_len);
  return (longest + kCells - 1) / kCells;
}

bool overlap(TokenRange a, TokenRange b) {
  return a.first < b.second && b.first < a.second;
}

/// One line per rank: a glyph for every cell of its block.
template <class Glyph>
std::string draw_blocks(const BlockLayout& layout, const Glyph& glyph) {
  const Index cell = tokens_per_cell(layout);
  std::string lines;
  for (int rank = 0; rank < layout.num_ranks(); ++rank) {
    const RankLayout& block = layout.ranks[static_cast<std::size_t>(rank)];
    lines += fmt::format("  rank {} │", rank);
    for (Index begin = block.block_begin; begin < block.block_end(); begin += cell) {
      lines += glyph(rank, TokenRange{begin, std::min(begin + cell, block.block_end())});
    }
    lines += fmt::format("│ {}…{}\n", block.block_begin, block.block_end() - 1);
  }
  return lines;
}

/// Entries of all KV heads that lie in a range.
Index count_inside(const std::vector<std::vector<Index>>& kept, TokenRange range) {
  Index count = 0;
  for (const auto& head : kept) {
    count += std::count_if(head.begin(), head.end(), [&](Index doc_pos) {
      return range.first <= doc_pos && doc_pos < range.second;
    });
  }
  return count;
}

/// A bar from · (nothing) to █ (everything).
const char* bar(double share) {
  static constexpr std::array kBars{"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  return kBars[static_cast<std::size_t>(std::ceil(std::clamp(share, 0.0, 1.0) * 8))];
}

/// The start of the answer's first line, made printable.
std::string shown_answer(const std::string& answer) {
  std::string shown = answer.substr(0, answer.find('\n'));
  std::erase_if(shown, [](unsigned char c) { return c <= 0x20 || c > 0x7e; });
  return shown.substr(0, 7);
}

}  // namespace

std::string draw_document(const DemoStory& story, const BlockLayout& layout,
                          const ApbConfig& config) {
  const TokenRange anchor{0, config.anchor_len};
  std::string text =
      fmt::format("The document: {} tokens{} cut over {} ranks; one cell stands for {} tokens\n\n",
                  config.doc_len,
                  story.before_text.empty() ? "" : fmt::format(" ({} first)", story.before_text),
                  config.num_ranks, tokens_per_cell(layout));
  text += draw_blocks(layout, [&](int, TokenRange cell) {
    if (overlap(cell, story.restatement)) return "R";
    if (overlap(cell, story.fact)) return "F";
    return overlap(cell, anchor) ? "A" : "·";
  });
  text += fmt::format(
      "\n  A  anchor: every other rank computes these {} tokens, and the question, before its "
      "block\n"
      "  F  the fact, told in rank {}'s block:       \"The pass key is …\"\n"
      "  R  its restatement, read in rank {}'s block: \"I repeat it now: the pass key is …\"\n",
      config.anchor_len, layout.owner(story.fact.first), layout.owner(story.restatement.first));
  return text;
}

std::string draw_kept(const DemoStory& story, const BlockLayout& layout,
                      const std::vector<std::vector<std::vector<Index>>>& kept, Index layer,
                      Index num_layers) {
  const auto heads = std::ssize(kept.front());
  std::string text = fmt::format(
      "What each rank kept and passed on in layer {} of {}: {} entries for each of {} KV heads\n\n",
      layer + 1, num_layers, layout.ranks.front().num_kept, heads);
  text += draw_blocks(layout, [&](int rank, TokenRange cell) {
    const Index possible = (cell.second - cell.first) * heads;
    const Index count = count_inside(kept[static_cast<std::size_t>(rank)], cell);
    return bar(static_cast<double>(count) / static_cast<double>(possible));
  });

  const int teller = layout.owner(story.fact.first);
  const RankLayout& block = layout.ranks[static_cast<std::size_t>(teller)];
  const Index inside = count_inside(kept[static_cast<std::size_t>(teller)], story.fact);
  const Index fact_len = story.fact.second - story.fact.first;
  text += fmt::format(
      "\n  {} of rank {}'s {} entries stand in the fact, which is {} of its {} tokens ({:.0f} %).\n"
      "  Entries go to higher ranks only; the last rank's are used by nobody.\n",
      inside, teller, block.num_kept * heads, fact_len, block.block_len,
      100.0 * static_cast<double>(fact_len) / static_cast<double>(block.block_len));
  return text;
}

std::string draw_table(const std::vector<DemoResult>& results) {
  std::string text =
      "                      nll of the                     nll of      KL to    rows of  KiB "
      "sent\n"
      "                        restated                the expected   Full, at   busiest  per rank "
      " prefill\n"
      "method                    digits  answer  right       answer  1st token      rank  & layer  "
      "       s\n";
  for (const DemoResult& result : results) {
    text += fmt::format(
        "{:<21} {:>10.2f}  {:<8}{:<5} {:>13.3f}  {:>9.3f}  {:>8}  {:>8.1f}  {:>7.1f}\n",
        result.label, result.restated_nll, shown_answer(result.answer),
        result.answer_right ? "yes" : "no", result.answer_nll, result.first_token_kl,
        result.busiest_rows, static_cast<double>(result.sent_bytes) / 1024, result.prefill_s);
  }
  return text;
}

std::string conclude(const std::vector<DemoResult>& results, const ApbConfig& config, int cores) {
  const DemoResult& full = results[0];
  const DemoResult& star = results[2];
  const DemoResult& aware = results[3];
  const DemoResult& random = results[4];
  const bool expected_order = full.restated_nll < aware.restated_nll &&
                              aware.restated_nll < random.restated_nll &&
                              random.restated_nll < star.restated_nll;
  const std::string restated = fmt::format(
      "Predicting the restated digits, the last rank is off by {:.2f} nats a digit with Star's "
      "anchor alone, by {:.2f} if the {} entries that every lower rank passes are random, by "
      "{:.2f} "
      "if the question chooses them, and by {:.2f} where one rank sees everything (Full): {}.",
      star.restated_nll, random.restated_nll, config.num_kept, aware.restated_nll,
      full.restated_nll,
      expected_order ? "what is passed, and how it is chosen, decides"
                     : "not the order that the paper's ablation leads one to expect");

  const auto right = std::count_if(results.begin(), results.end(),
                                   [](const DemoResult& result) { return result.answer_right; });
  const std::string answered = fmt::format(
      "The answer tells the methods apart less, since the question attends to every rank's cache "
      "exactly: {} of {} are right; against Star with the same anchor, APB query-aware gives the "
      "answer {} nll ({:.3f} against {:.3f}) and its first token a {} KL to Full ({:.3f} against "
      "{:.3f}), and it sends {:.1f} KiB a layer and rank where Star sends nothing; its busiest "
      "rank "
      "computes {:.0f} % of Full's rows (seconds: {} ranks on {} core{}, not a cluster).",
      right, results.size(), aware.answer_nll > star.answer_nll ? "a higher" : "no higher",
      aware.answer_nll, star.answer_nll,
      aware.first_token_kl > star.first_token_kl ? "larger" : "smaller", aware.first_token_kl,
      star.first_token_kl, static_cast<double>(aware.sent_bytes) / 1024,
      100.0 * static_cast<double>(aware.busiest_rows) / static_cast<double>(full.busiest_rows),
      config.num_ranks, cores, cores == 1 ? "" : "s");
  return wrapped(restated) + "\n" + wrapped(answered);
}

}  // namespace apb
