#include "reference/model_io/utf8.hpp"

#include <algorithm>

namespace apb {
namespace {

struct Form {
  unsigned first_low, first_high;    ///< the first byte
  unsigned second_low, second_high;  ///< the second; any further are 0x80 to 0xBF
  std::size_t length;
};

constexpr Form kForms[]{
    {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};

bool between(char letter, unsigned low, unsigned high) {
  const unsigned byte = static_cast<unsigned char>(letter);
  return low <= byte && byte <= high;
}

/// Bytes of the character that text begins with; 0 if it begins with none.
std::size_t character_length(std::string_view text) {
  for (const Form& form : kForms) {
    if (!between(text[0], form.first_low, form.first_high)) continue;
    if (form.length == 1) return 1;
    if (text.size() < form.length || !between(text[1], form.second_low, form.second_high)) return 0;
    const std::string_view rest = text.substr(2, form.length - 2);
    const bool right = std::ranges::all_of(rest, [](char c) { return between(c, 0x80, 0xBF); });
    return right ? form.length : 0;
  }
  return 0;
}

}  // namespace

std::optional<std::size_t> first_byte_not_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return {};
}

}  // namespace apb
