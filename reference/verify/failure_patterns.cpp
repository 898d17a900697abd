#include "reference/verify/failure_patterns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/verify/non_finite_patterns.hpp"

namespace apb {
namespace {

/// The sign of a NaN or of 0 says nothing.
std::string in_words(double value) {
  if (std::isnan(value)) return "NaN";
  return value == 0 ? "0" : fmt::format("{:.6g}", value);
}

bool same_value(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

/// All failing pairs are rows that see nothing.
std::string nothing_seen(const WrongResult& wrong, const FailingRows& failing) {
  for (const FailingPart* part : {&failing.out, &failing.lse}) {
    for (const FailingPair& pair : part->pairs) {
      if (wrong.truth.lse(pair.row, pair.head) != -kInfinite) return {};
    }
  }
  const bool all_plus = std::all_of(
      failing.lse.pairs.begin(), failing.lse.pairs.end(),
      [&](const FailingPair& pair) { return wrong.lse(pair.row, pair.head) == kInfinite; });
  return all_plus && !failing.lse.pairs.empty()
             ? "lse is +inf for rows that see nothing (must be -inf)"
             : "rows that see nothing must give out = 0 and lse = -inf";
}

/// The only failing pair of out is right but for one element.
std::string one_element(const WrongResult& wrong, const FailingPair& pair) {
  const Index head_dim = wrong.out.head_dim();
  const double* candidate = wrong.out.view().at(pair.row, pair.head);
  const double* truth = wrong.truth.out.view().at(pair.row, pair.head);
  for (Index d = 0; d < head_dim; ++d) {
    std::vector<double> mended(candidate, candidate + head_dim);
    mended[static_cast<std::size_t>(d)] = truth[d];
    const double error = row_error(mended.data(), truth, head_dim);
    if (!within(error, wrong.tolerances.out(pair.row, pair.head))) continue;
    return fmt::format("one bad element: {} at row {} head {} element {} of out (truth {:.6g})",
                       in_words(candidate[d]), wrong.truth.rows[static_cast<std::size_t>(pair.row)],
                       wrong.truth.heads[static_cast<std::size_t>(pair.head)], d, truth[d]);
  }
  return {};
}

std::string one_bad_value(const WrongResult& wrong, const FailingRows& failing) {
  if (failing.out.pairs.size() == 1 && failing.lse.pairs.empty()) {
    return one_element(wrong, failing.out.pairs[0]);
  }
  if (failing.lse.pairs.size() != 1 || !failing.out.pairs.empty()) return {};
  const FailingPair& pair = failing.lse.pairs[0];
  return fmt::format("one bad value: lse is {} at row {} head {} (truth {:.6g})",
                     in_words(wrong.lse(pair.row, pair.head)),
                     wrong.truth.rows[static_cast<std::size_t>(pair.row)],
                     wrong.truth.heads[static_cast<std::size_t>(pair.head)],
                     wrong.truth.lse(pair.row, pair.head));
}

/// All failing rows have one residue modulo a tile, and all judged rows of that residue fail.
std::string one_residue(const WrongResult& wrong, const std::vector<Frame>& frames,
                        const std::vector<Index>& rows) {
  if (rows.size() < 2) return {};
  for (const Frame& frame : frames) {
    if (rows.front() < frame.begin || rows.back() >= frame.end) continue;
    for (const Index tile : kTileHeights) {
      const Index residue = (rows.front() - frame.begin) % tile;
      const auto same = [&](Index row) {
        return row >= frame.begin && row < frame.end && (row - frame.begin) % tile == residue;
      };
      const auto judged = std::count_if(wrong.truth.rows.begin(), wrong.truth.rows.end(), same);
      if (std::all_of(rows.begin(), rows.end(), same) && judged == std::ssize(rows)) {
        return fmt::format("tile border: exactly the {} with number = {} modulo {} fail",
                           frame.name, residue, tile);
      }
    }
  }
  return {};
}

std::vector<std::string> if_any(std::string text) {
  return text.empty() ? std::vector<std::string>{} : std::vector<std::string>{std::move(text)};
}

}  // namespace

std::vector<Frame> frames_of(const WrongResult& wrong) {
  const Index anchor = wrong.setup.anchor_rows;
  const Index rows = wrong.setup.query.rows;
  if (anchor == 0) return {{"rows", 0, rows}};
  return {{"rows", 0, rows}, {"anchor rows", 0, anchor}, {"block rows", anchor, rows}};
}

std::vector<Index> row_numbers(const WrongResult& wrong, const std::vector<Index>& places) {
  std::vector<Index> rows;
  for (const Index i : places) rows.push_back(wrong.truth.rows[static_cast<std::size_t>(i)]);
  return rows;
}

std::string last_partial_tile(const std::vector<Frame>& frames, const std::vector<Index>& rows) {
  for (const Frame& frame : frames) {
    if (rows.front() < frame.begin || rows.back() >= frame.end) continue;
    for (const Index tile : kTileHeights) {
      const Index full = (frame.end - frame.begin) / tile * tile;
      if (full > 0 && full < frame.end - frame.begin && rows.front() >= frame.begin + full) {
        return fmt::format("only {} beyond the last full tile of {} fail (from row {} on)",
                           frame.name, tile, frame.begin + full);
      }
    }
  }
  return {};
}

std::optional<double> only_value_of_out(const WrongResult& wrong, const FailingPart& part) {
  const Index head_dim = wrong.out.head_dim();
  if (std::ssize(part.pairs) * head_dim < 2) return {};
  const double first = *wrong.out.view().at(part.pairs[0].row, part.pairs[0].head);
  for (const FailingPair& pair : part.pairs) {
    const double* row = wrong.out.view().at(pair.row, pair.head);
    if (!std::all_of(row, row + head_dim, [&](double x) { return same_value(x, first); })) {
      return {};
    }
  }
  return first;
}

std::optional<double> only_value_of_lse(const WrongResult& wrong, const FailingPart& part) {
  if (part.pairs.size() < 2) return {};
  const double first = wrong.lse(part.pairs[0].row, part.pairs[0].head);
  for (const FailingPair& pair : part.pairs) {
    if (!same_value(wrong.lse(pair.row, pair.head), first)) return {};
  }
  return first;
}

std::string never_written(const WrongResult& wrong, const FailingRows& failing) {
  const auto out = only_value_of_out(wrong, failing.out);
  const auto lse = only_value_of_lse(wrong, failing.lse);
  if (out == 0 && lse == -kInfinite) {
    return "rows taken as seeing nothing: out is 0 and lse -inf";
  }
  const bool lse_alone = failing.out.pairs.empty();
  if (lse_alone)
    return lse ? fmt::format("lse never written: it is {} in all that fail", in_words(*lse)) : "";
  if (!out || (!failing.lse.pairs.empty() && !lse)) return {};
  std::string text = fmt::format("rows never written: every element of out is {}", in_words(*out));
  if (lse) text += fmt::format(", and lse is {}", in_words(*lse));
  return text;
}

std::vector<std::string> find_patterns(const Evidence& evidence, const FailingRows& failing) {
  const WrongResult& wrong = evidence.wrong;
  if (failing.out.pairs.empty() && failing.lse.pairs.empty()) return {};
  if (auto text = nothing_seen(wrong, failing); !text.empty()) return {text};
  if (auto text = one_bad_value(wrong, failing); !text.empty()) return {text};
  if (failing.out.has_non_finite() || failing.lse.has_non_finite()) {
    return find_non_finite_patterns(evidence, failing);
  }
  const std::vector<Index> rows = row_numbers(wrong, failing.rows());
  const std::vector<Frame> frames = frames_of(wrong);
  const std::string where = last_partial_tile(frames, rows);
  if (auto text = never_written(wrong, failing); !text.empty()) {
    return {where.empty() ? text : text + "; " + where};
  }
  return if_any(where.empty() ? one_residue(wrong, frames, rows) : "tile border: " + where);
}

}  // namespace apb
