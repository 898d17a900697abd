#pragma once
/// \file
/// Whether bytes are text.

#include <cstddef>
#include <optional>
#include <string_view>

namespace apb {

/// Where text stops being UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates).
/// \returns the byte, counted from 0, at which the first wrong character begins; nothing if all is
/// right
[[nodiscard]] std::optional<std::size_t> first_byte_not_utf8(std::string_view text);

}  // namespace apb
