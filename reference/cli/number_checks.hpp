#pragma once
/// \file
/// Checks of numbers on a command line. They see the words as typed, before CLI11 converts them:
/// NaN passes its own Range, and a number too large or with a fraction gets no line of its own.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <limits>

namespace apb {

/// The largest seed: files store seeds as int64.
inline constexpr std::int64_t kMaxSeed = std::numeric_limits<std::int64_t>::max();

/// The most rows that a sample may be asked for.
inline constexpr std::int64_t kMaxRows = std::int64_t{1} << 40U;

/// As a check of an option, e.g. "--seed: -1: must be a whole number from 0 to 9".
template <class Number>
[[nodiscard]] CLI::Validator number_between(Number low, Number high, const char* kind) {
  const auto check = [low, high, kind](const std::string& word) -> std::string {
    Number number{};
    const char* end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number);
    // NaN is neither.
    if (error == std::errc() && rest == end && number >= low && number <= high) return {};
    return fmt::format("{}: must be {} from {} to {}", word, kind, low, high);
  };
  return {check, fmt::format("{} to {}", low, high)};
}

[[nodiscard]] inline CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  return number_between(low, high, "a whole number");
}

[[nodiscard]] inline CLI::Validator real_number(double low, double high) {
  return number_between(low, high, "a number");
}

}  // namespace apb
