#pragma once
/// \file
/// Words, numbers and colours of `./apb explain`.

#include <string>
#include <string_view>
#include <vector>

#include "reference/core/block_layout.hpp"

namespace apb {

/// Columns of the widest line that is printed.
inline constexpr int kTextWidth = 100;

/// Columns of the names at the left of a line.
inline constexpr int kNameColumns = 11;

/// What a piece of text stands for; a colour, where colours are wanted.
enum class Tint { kAnchor, kPassing, kBlock, kHeading, kFaint };

[[nodiscard]] Tint tint_of(Segment segment);

/// Colours text for a terminal, or leaves it as it is.
class Ink {
 public:
  explicit Ink(bool coloured) : coloured_(coloured) {}
  [[nodiscard]] std::string operator()(Tint tint, std::string_view text) const;

 private:
  bool coloured_;
};

/// 131072 -> "131,072".
[[nodiscard]] std::string with_separators(Index number);

/// As with_separators below a million, else four digits and an SI prefix: "140.7 T".
[[nodiscard]] std::string short_number(Index number);

/// 1 -> "1 token", 2 -> "2 tokens".
[[nodiscard]] std::string counted(Index number, std::string_view noun);

/// Characters of UTF-8 text, each of which is one column wide here.
[[nodiscard]] int text_columns(std::string_view text);

/// Text with spaces up to `columns`, before it or after it.
[[nodiscard]] std::string pad_before(std::string_view text, int columns);
[[nodiscard]] std::string pad_after(std::string_view text, int columns);

/// Text `count` times.
[[nodiscard]] std::string repeated(std::string_view text, Index count);

/// Words in lines of at most kTextWidth columns, each with its newline.
[[nodiscard]] std::string wrapped(std::string_view text);

/// Lines without the spaces at their ends.
[[nodiscard]] std::string without_trailing_spaces(std::string_view text);

/// "12", "12…15", or "none".
[[nodiscard]] std::string index_range(Index first, Index count);

[[nodiscard]] std::string rank_name(int rank);

/// As many of `mark`ed numbers as fit into `columns`, separated by spaces; if not all do, the first
/// ones and the last one around an ellipsis.
[[nodiscard]] std::string fit_labels(std::string_view mark, const std::vector<Index>& numbers,
                                     int columns);

}  // namespace apb
