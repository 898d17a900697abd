#pragma once
/// \file
/// What bad input is refused with.

#include <string>

#include "reference/core/error.hpp"

namespace apb {

/// The line with which `work` is refused as bad input; "accepted" if it is not.
template <class Work>
[[nodiscard]] std::string refusal(const Work& work) {
  try {
    work();
  } catch (const BadInput& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace apb
