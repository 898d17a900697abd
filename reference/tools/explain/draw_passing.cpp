#include "reference/tools/explain/draw_passing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/tools/explain/document_line.hpp"
#include "reference/tools/explain/drawing.hpp"

namespace apb {
namespace {

/// Columns of "rank 12    uses 1,234 of ranks 0…11:".
constexpr int kUsesColumns = 41;

/// Score as it fits into a cell: ".53", or the token's own index with `recent`.
std::string score_text(const ApbConfig& config, double score) {
  if (config.compressor == Compressor::kRecent) return fmt::format("{:.0f}", score);
  // Rounded down, so that no score below 1 shows as 1.
  return fmt::format(".{:02}", static_cast<int>(100 * score));
}

/// How much of a cell's tokens is kept.
std::string_view share_glyph(Index kept, Index tokens) {
  if (kept == 0) return "·";
  if (4 * kept < tokens) return "░";
  if (4 * kept < 2 * tokens) return "▒";
  return 4 * kept < 3 * tokens ? "▓" : "█";
}

/// Score, pooled score and choice of every token.
std::string token_lines(const Example& example, const DocumentLines& document) {
  const auto block = [&](int rank) -> const BlockSelection& {
    return example.kept[static_cast<std::size_t>(rank)];
  };
  const auto row_of = [&](int rank, Index doc_pos) {
    return doc_pos - example.of(rank).block_begin;
  };

  std::string text = document.cells("score", [&](int rank, Index token, Index) {
    return Cell{score_text(example.config, block(rank).scores(row_of(rank, token), 0)), {}};
  });
  text += document.cells("pooled", [&](int rank, Index token, Index) {
    if (token < example.of(rank).candidate_begin) return Cell{"–", {}};
    const double importance = block(rank).selection.importance(row_of(rank, token), 0);
    return Cell{score_text(example.config, importance), {}};
  });
  text += document.cells("kept", [&](int rank, Index token, Index) {
    const auto& kept = block(rank).selection.kept_positions.front();
    const bool is_kept = std::binary_search(kept.begin(), kept.end(), token);
    return Cell{is_kept ? fmt::format("p{}", token) : "", Tint::kPassing};
  });
  return text;
}

/// One character per cell: which share of its tokens is kept.
std::string share_line(const Example& example, const DocumentLines& document) {
  return document.cells("kept", [&](int rank, Index first, Index last) {
    const auto& kept =
        example.kept[static_cast<std::size_t>(rank)].selection.kept_positions.front();
    const auto begin = std::lower_bound(kept.begin(), kept.end(), first);
    const auto end = std::lower_bound(begin, kept.end(), last);
    return Cell{std::string(share_glyph(end - begin, last - first)), Tint::kPassing};
  });
}

/// The passing block of every shown rank.
std::string passing_lines(const Example& example, const Ink& ink) {
  return for_shown_ranks(example, [&](int rank) {
    const Index entries = example.of(rank).passing_rows;
    std::string line = pad_after(rank_name(rank), kNameColumns);
    if (rank == 0) return line + "uses nothing: no rank is earlier\n";
    line += fmt::format("uses {} of rank{}", with_separators(entries), rank == 1 ? " 0" : "s 0");
    if (rank > 1) line += fmt::format("…{}", rank - 1);
    if (entries == 0) return line + "\n";
    line = pad_after(line + ":", kUsesColumns);
    return line +
           ink(Tint::kPassing,
               fit_labels("p", example.passing_doc_pos(rank), kTextWidth - text_columns(line))) +
           "\n";
  });
}

std::string score_sentence(const ApbConfig& config) {
  if (config.compressor == Compressor::kRecent) return "Scores are the tokens' indices";
  std::string text = fmt::format("Scores are random (seed {}; no model is run)", config.seed);
  if (config.compressor == Compressor::kQueryAware) {
    text += " in place of query_aware's, for which rank 1 sends rank 0 its query rows";
  }
  return text;
}

/// Why the first tokens are no candidates. In `official` the last of them are in no anchor either.
std::string candidate_sentence(const Example& example) {
  const Index lost = example.config.anchor_len - example.anchor_tokens();
  if (lost == 0) return "Tokens marked – are in every anchor.";
  return fmt::format(
      "Tokens marked – are the first anchor_len: in every anchor but for the last {}, whose place "
      "the "
      "query took.",
      with_separators(lost));
}

/// What the reader needs to know to follow the choice.
std::string sentences(const Example& example, const DocumentLines& document) {
  const ApbConfig& config = example.config;
  std::string text = fmt::format(
      "Each rank passes keys and values of its best {}; only later ranks use them. {}. ",
      counted(config.num_kept, "token"), score_sentence(config));
  if (config.pool_kernel > 1) {
    text += fmt::format("Pooled is the best of {} neighbours. ", config.pool_kernel);
  }
  text += "Ties go to the earlier token.";
  if (!document.labelled()) {
    text += document.tokens_per_cell() == 1 ? " █ is kept, · is not."
                                            : " Of a cell's tokens are kept: · none, ░ under 1/4, "
                                              "▒ under 1/2, ▓ under 3/4, █ more.";
  } else if (config.anchor_len > 0) {
    text += " " + candidate_sentence(example);
  }
  if (config.num_kv_heads > 1) {
    text += fmt::format(" Each of the {} KV heads keeps its own tokens; drawn is head 0.",
                        config.num_kv_heads);
  }
  return text;
}

std::string nothing_passed(Method method, const Ink& ink) {
  const std::string_view sentence =
      method == Method::kApb ? "Nothing: there is only one rank, or nothing is to be kept."
                             : "Nothing: this method exchanges no keys or values during prefill.";
  return section_heading(ink, 3, "WHAT IS KEPT AND PASSED", sentence);
}

}  // namespace

std::string draw_passing(const Example& example, const Ink& ink) {
  if (example.kept.empty()) return nothing_passed(example.method, ink);
  const DocumentLines document(example, ink);
  return section_heading(ink, 3, "WHAT IS KEPT AND PASSED", sentences(example, document)) +
         (document.labelled() ? token_lines(example, document) : share_line(example, document)) +
         passing_lines(example, ink);
}

}  // namespace apb
