#pragma once
/// \file
/// Judges a machine profile before anything is predicted from it: published tables hold copies of
/// another machine's, sparse peaks, times that fall as sizes grow. What cannot be is an error and
/// refuses the profile; what may be is a warning, which commands print.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

enum class Severity { kWarning, kError };

struct Finding {
  Severity severity = Severity::kWarning;
  std::string file;
  std::string key;   ///< as in the file: "values.peak", "tables.gemm[0].rows[3]"
  std::string text;  ///< what is wrong, with numbers

  /// "FILE: KEY: TEXT"
  [[nodiscard]] std::string line() const;
};

/// \param file   what findings name
/// \param others machines whose tables this one must not hold, unless it has the same GPU and links
[[nodiscard]] std::vector<Finding> audit_profile(const MachineProfile& profile,
                                                 const std::string& file,
                                                 std::span<const MachineProfile> others);

/// A profile that may be used, with the warnings to print.
struct AuditedMachine {
  MachineProfile profile;
  std::vector<Finding> warnings;
};

/// Reads a profile and audits it against the machines that come with this project.
/// \throws BadInput as find_machine, or with the first error found and the number of others
[[nodiscard]] AuditedMachine audited_machine(const std::string& name_or_path);

}  // namespace apb::sim
