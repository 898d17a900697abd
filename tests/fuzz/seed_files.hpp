#pragma once
/// \file
/// The valid files that edits start from.

#include <optional>
#include <string>
#include <vector>

#include "reference/core/case/case_file.hpp"

namespace apb {

struct SeedFile {
  std::string name;
  std::string bytes;
  std::optional<CaseFile> answers;      ///< the case that a candidate answers; none: it is a case
  std::vector<std::string> attributes;  ///< "/rank_0/anchor_rows"; of the root "/doc_len"
  std::vector<std::string> datasets;    ///< "/rank_0/query"
  std::vector<std::string> links;       ///< to datasets and groups
};

/// Small cases and candidates of every form, made once and kept in memory.
[[nodiscard]] const std::vector<SeedFile>& seed_files();

}  // namespace apb
