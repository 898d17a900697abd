#include "tests/fuzz/edit_script.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace apb {
namespace {

constexpr std::size_t kBytesPerEdit = 12;
constexpr std::size_t kMaxEdits = 8;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

/// Where checks of ranges and products of lengths are likely to be wrong.
constexpr std::array<std::int64_t, 16> kEdges{0,
                                              1,
                                              -1,
                                              2,
                                              kLargest,
                                              kLargest - 1,
                                              -kLargest - 1,
                                              -kLargest,
                                              std::int64_t{1} << 30U,
                                              (std::int64_t{1} << 30U) + 1,
                                              std::int64_t{1} << 31U,
                                              std::int64_t{1} << 32U,
                                              std::int64_t{1} << 61U,
                                              std::int64_t{1} << 62U,
                                              4096,
                                              4097};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<double, 12> kReals{0.0,    -0.0,  kInfinity, -kInfinity, 257,    0.1,
                                        1e-310, 1e300, 65520,     0x1p-200,   0x1p24, -1};

/// A sum that wraps instead of overflowing.
std::int64_t wrapping_sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

Edit decode_edit(std::span<const std::uint8_t> bytes) {
  Edit edit{static_cast<EditKind>(bytes[0] % kNumEditKinds), bytes[1], bytes[2], bytes[3], 0};
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{bytes[4 + i]} << (8 * i);
  edit.value = static_cast<std::int64_t>(value);
  return edit;
}

}  // namespace

EditScript decode_script(std::span<const std::uint8_t> bytes) {
  EditScript script;
  if (bytes.empty()) return script;
  script.seed_file = bytes[0];
  bytes = bytes.subspan(1);
  while (bytes.size() >= kBytesPerEdit && script.edits.size() < kMaxEdits) {
    script.edits.push_back(decode_edit(bytes.first(kBytesPerEdit)));
    bytes = bytes.subspan(kBytesPerEdit);
  }
  return script;
}

std::int64_t new_integer(const Edit& edit, std::int64_t old) {
  switch (edit.variant % 4) {
    case 0:
      return wrapping_sum(old, edit.value % 9);
    case 1:
      return edit.value % 64;
    case 2:
      return kEdges[static_cast<std::uint64_t>(edit.value) % kEdges.size()];
    default:
      return edit.value;
  }
}

double new_real(const Edit& edit) {
  switch (edit.variant % 4) {
    case 0:
      return kReals[static_cast<std::uint64_t>(edit.value) % kReals.size()];
    case 1:
      return static_cast<double>(edit.value % 64) / 8;
    case 2:
      return std::numeric_limits<double>::quiet_NaN();
    default: {
      // Other NaNs may not survive being stored as float: no promise of the format.
      const auto any = std::bit_cast<double>(edit.value);
      return std::isnan(any) ? std::numeric_limits<double>::quiet_NaN() : any;
    }
  }
}

}  // namespace apb
