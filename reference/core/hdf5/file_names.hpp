#pragma once
/// \file
/// What this project's files hold: the names that their readers open. Whatever else stands in a
/// file is nobody's business here, and is not touched.

#include <string_view>

namespace apb {

/// Whether some reader opens this group or dataset of a case, candidate, weights or heads file.
/// \param path "rank_0/query", without a slash before it; the root group is ""
[[nodiscard]] bool is_known_name(std::string_view path);

}  // namespace apb
