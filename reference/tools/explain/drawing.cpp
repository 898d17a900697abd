#include "reference/tools/explain/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/tools/explain/document_line.hpp"

namespace apb {
namespace {

constexpr std::string_view kAnchorTitle = "anchor from position";

std::string_view about(Method method) {
  if (method == Method::kFull) {
    return "Full attention: rank 0 computes the whole document, the others wait.";
  }
  if (method == Method::kStar) {
    return "Every rank computes its own part of a long document, and sees of the rest only the "
           "start, the anchor.";
  }
  return "Every rank computes its own part of a long document, and sees of the rest only the "
         "start, the anchor, and the few keys and values that earlier ranks found worth passing "
         "on.";
}

/// Columns of one row's cell in section 2, or 0 if some shown rank's rows do not fit.
int row_cell_columns(const Example& example) {
  const auto labels = std::max<Index>(2, std::ssize(std::to_string(example.config.doc_len)));
  const int columns = static_cast<int>(labels) + 2;
  for (const int rank : example.shown_ranks()) {
    const Index cells = example.layout.ranks.back().anchor_rows + example.of(rank).block_len;
    if (kNameColumns + 2 + cells * columns > kTextWidth) return 0;
  }
  return columns;
}

/// Two lines: the rows' names, and the positions below; anchors of all ranks below each other.
std::string row_cells(const Example& example, const Ink& ink, int rank, int cell_columns) {
  const RankLayout& layout = example.of(rank);
  if (layout.rows() == 0) return pad_after(rank_name(rank), kNameColumns) + "nothing\n";
  const Index anchor_rows = example.layout.ranks.back().anchor_rows;
  const std::string indent = repeated(" ", (anchor_rows - layout.anchor_rows) * cell_columns);
  const std::string bar = ink(Tint::kFaint, "│ ");

  std::string names = pad_after(rank_name(rank), kNameColumns) + indent;
  std::string positions = pad_after("  position", kNameColumns) + indent;
  for (Index row = 0; row < layout.rows(); ++row) {
    if (row == layout.anchor_rows) {
      names += bar;
      positions += bar;
    }
    const Tint tint = row < layout.anchor_rows ? Tint::kAnchor : Tint::kBlock;
    names += ink(tint, pad_after(example.row_label(rank, row), cell_columns));
    positions += ink(Tint::kFaint, pad_after(std::to_string(layout.position(row)), cell_columns));
  }
  return names + "\n" + positions + "\n";
}

/// The anchor's runs with their first positions, e.g. "q0…1 from 0, a0…5 from 2".
std::string anchor_text(const RankLayout& layout) {
  std::string text;
  for (const RowRun& run : layout.runs) {
    if (run.segment != Segment::kAnchor) continue;
    const char mark = run.source == RowSource::kQuery ? 'q' : 'a';
    text += fmt::format("{}{}{} from {}", text.empty() ? "" : ", ", mark,
                        index_range(run.first, run.count), with_separators(run.first_position));
  }
  return text.empty() ? "–" : text;
}

/// One line a rank: too many rows to draw.
std::string row_runs(const Example& example, const Ink& ink) {
  int anchor_columns = text_columns(kAnchorTitle);
  for (const int rank : example.shown_ranks()) {
    anchor_columns = std::max(anchor_columns, text_columns(anchor_text(example.of(rank))));
  }
  const std::string bar = ink(Tint::kFaint, "  │ ");
  std::string text = pad_after("", kNameColumns) + pad_before("rows", 9) + bar +
                     pad_after(kAnchorTitle, anchor_columns) + bar + "block\n";
  text += for_shown_ranks(example, [&](int rank) {
    const RankLayout& layout = example.of(rank);
    return pad_after(rank_name(rank), kNameColumns) +
           pad_before(with_separators(layout.rows()), 9) + bar +
           ink(Tint::kAnchor, pad_after(anchor_text(layout), anchor_columns)) + bar +
           ink(Tint::kBlock, index_range(layout.block_begin, layout.block_len)) + "\n";
  });
  return text;
}

}  // namespace

std::string section_heading(const Ink& ink, int number, std::string_view title,
                            std::string_view sentence) {
  return fmt::format("\n{}\n{}", ink(Tint::kHeading, fmt::format("{}  {}", number, title)),
                     wrapped(sentence));
}

std::string for_shown_ranks(const Example& example,
                            const std::function<std::string(int rank)>& lines) {
  std::string text;
  int previous = -1;
  for (const int rank : example.shown_ranks()) {
    if (rank > previous + 1) text += "…\n";
    text += lines(rank);
    previous = rank;
  }
  return text;
}

std::string draw_title(const Example& example, const Ink& ink) {
  const ApbConfig& config = example.config;
  std::string title =
      fmt::format("One layer of {} prefill: {} on {}", entry_of(example.method).title,
                  counted(config.doc_len, "token"), counted(config.num_ranks, "rank"));
  if (config.num_ranks > 1 && example.method != Method::kFull) {
    title += fmt::format(", anchor {} + {}", counted(example.anchor_tokens(), "token"),
                         counted(config.embedded_query_len, "query row"));
  }
  if (!example.kept.empty()) {
    title += fmt::format(", {} kept per rank", with_separators(config.num_kept));
  }
  std::string text = ink(Tint::kHeading, wrapped(title)) + wrapped(about(example.method));
  if (std::ssize(example.shown_ranks()) < config.num_ranks) {
    text += wrapped("There are too many ranks to draw them all: … stands for those left out.");
  }
  return text;
}

std::string draw_ownership(const Example& example, const Ink& ink) {
  const DocumentLines document(example, ink);
  const Index anchor_tokens = example.anchor_tokens();
  std::string sentence = "The document is cut into one block per rank.";
  if (!document.labelled()) {
    sentence +=
        fmt::format(" One character is {}{}.", document.tokens_per_cell() > 1 ? "up to " : "",
                    counted(document.tokens_per_cell(), "token"));
  }
  if (anchor_tokens > 0) sentence += " ▔ marks the anchor: every later rank gets a copy of it.";

  std::string text = section_heading(ink, 1, "WHO OWNS WHAT", sentence);
  text += document.titles("", rank_name);
  if (!document.labelled()) {
    text += document.titles("from", [&](int rank) {
      const RankLayout& layout = example.of(rank);
      return layout.block_len == 0 ? "nothing" : with_separators(layout.block_begin);
    });
  }
  text += document.cells("token", [&](int, Index first, Index) {
    return Cell{document.labelled() ? std::to_string(first) : "▒", Tint::kBlock};
  });
  if (anchor_tokens > 0) {
    text += document.cells("anchor", [&](int, Index first, Index) {
      const bool marked = first < anchor_tokens;
      return Cell{marked ? repeated("▔", document.cell_columns()) : "", Tint::kAnchor};
    });
  }
  return text;
}

std::string draw_rows(const Example& example, const Ink& ink) {
  const int cell_columns = row_cell_columns(example);
  std::string sentence;
  if (example.layout.ranks.back().anchor_rows > 0) {
    sentence =
        "Every rank but the first puts the anchor before its block: q0 is query row 0, a1 a copy "
        "of token 1. ";
  }
  sentence += "RoPE uses the position: ";
  if (example.layout.ranks.back().anchor_rows > 0) sentence += "an anchor counts from 0, ";
  sentence += "a block token keeps its place in the document.";
  const std::string heading = section_heading(ink, 2, "WHAT EACH RANK COMPUTES", sentence);
  if (cell_columns == 0) return heading + row_runs(example, ink);
  return heading + for_shown_ranks(example, [&](int rank) {
           return row_cells(example, ink, rank, cell_columns);
         });
}

std::string draw_outlook(const Ink& ink) {
  return fmt::format(
      "\n{}{} --keep 0, --anchor 0, --rank 1, --method star, --tokens 131072 --ranks 8, "
      "--compare\n",
      wrapped("After prefill a rank keeps its block's keys and values; the question sees all "
              "ranks', exactly."),
      ink(Tint::kHeading, "Try"));
}

}  // namespace apb
