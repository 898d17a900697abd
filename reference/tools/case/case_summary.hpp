#pragma once
/// \file
/// What a case file holds, on one screen.

#include <string>

#include "reference/core/case/case_file.hpp"

namespace apb {

[[nodiscard]] std::string summary(const std::string& path, const CaseFile& case_file);

}  // namespace apb
