#include "reference/cli/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace apb {
namespace {

/// ANSI colours of Tint's values in order; yellow, magenta, cyan stay apart for the colour-blind.
constexpr std::array<std::string_view, 5> kColourCodes{"33", "35", "36", "1", "2"};

constexpr Index kMillion = 1'000'000;

}  // namespace

Tint tint_of(Segment segment) {
  switch (segment) {
    case Segment::kAnchor:
      return Tint::kAnchor;
    case Segment::kPassing:
      return Tint::kPassing;
    case Segment::kBlock:
    case Segment::kQuery:
      break;
  }
  return Tint::kBlock;
}

std::string Ink::operator()(Tint tint, std::string_view text) const {
  if (!coloured_ || text.empty()) return std::string(text);
  return fmt::format("\033[{}m{}\033[0m", kColourCodes.at(static_cast<std::size_t>(tint)), text);
}

std::string with_separators(Index number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string short_number(Index number) {
  if (number < kMillion) return with_separators(number);
  double scaled = static_cast<double>(number) / 1e6;
  std::string_view prefixes = "MGTPE";
  // 999.95 would be printed as 1000.
  while (scaled >= 999.95 && prefixes.size() > 1) {
    scaled /= 1e3;
    prefixes.remove_prefix(1);
  }
  const int decimals = scaled >= 99.995 ? 1 : scaled >= 9.9995 ? 2 : 3;
  return fmt::format("{:.{}f} {}", scaled, decimals, prefixes.front());
}

std::string counted(Index number, std::string_view noun) {
  return fmt::format("{} {}{}", with_separators(number), noun, number == 1 ? "" : "s");
}

int text_columns(std::string_view text) {
  // Bytes 10xxxxxx continue a character.
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  }));
}

std::string repeated(std::string_view text, Index count) {
  std::string result;
  for (Index i = 0; i < count; ++i) result += text;
  return result;
}

std::string pad_before(std::string_view text, int columns) {
  return repeated(" ", columns - text_columns(text)) + std::string(text);
}

std::string pad_after(std::string_view text, int columns) {
  return std::string(text) + repeated(" ", columns - text_columns(text));
}

std::string wrapped(std::string_view text) {
  std::string lines;
  std::string line;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!line.empty() && text_columns(line) + 1 + text_columns(word) > kTextWidth) {
      lines += line + "\n";
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  return lines + line + "\n";
}

std::string without_trailing_spaces(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    if (letter == '\n') {
      while (!result.empty() && result.back() == ' ') result.pop_back();
    }
    result += letter;
  }
  return result;
}

std::string index_range(Index first, Index count) {
  if (count == 0) return "none";
  if (count == 1) return with_separators(first);
  return fmt::format("{}…{}", with_separators(first), with_separators(first + count - 1));
}

std::string rank_name(int rank) {
  return fmt::format("rank {}", rank);
}

std::string fit_labels(std::string_view mark, const std::vector<Index>& numbers, int columns) {
  if (numbers.empty()) return "";
  const std::string last = fmt::format("{}{}", mark, numbers.back());
  const std::string end = fmt::format("… {}", last);
  std::string start;
  for (std::size_t i = 0; i + 1 < numbers.size(); ++i) {
    const std::string longer = fmt::format("{}{}{} ", start, mark, numbers[i]);
    const std::string& rest = i + 2 == numbers.size() ? last : end;
    if (text_columns(longer + rest) > columns) return start + end;
    start = longer;
  }
  return start + last;
}

}  // namespace apb
