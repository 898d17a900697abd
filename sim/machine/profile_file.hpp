#pragma once
/// \file
/// Machine profiles as JSON files (docs/machines.md), and those that come with this project:
/// configs/machines/NAME.json.

#include <string>
#include <vector>

#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

/// Reads without judging: sim/machine/profile_audit.hpp does.
/// \throws BadInput naming file, key, value and what is allowed: unknown or missing keys, wrong
///         units, impossible numbers, an unknown provenance, a source that is not listed
[[nodiscard]] MachineProfile read_machine_profile(const std::string& path);

/// The profile as the text of such a file, which reads back to the same profile.
/// \throws std::invalid_argument if a value has no source that the profile lists
[[nodiscard]] std::string machine_profile_json(const MachineProfile& profile);

/// Names of the files in configs/machines, without .json, in order.
[[nodiscard]] std::vector<std::string> known_machines();

/// Path of a machine's file.
/// \param name_or_path one of known_machines(), or the path of a .json file
/// \throws BadInput if it is neither
[[nodiscard]] std::string machine_path(const std::string& name_or_path);

/// \throws BadInput as machine_path and read_machine_profile
[[nodiscard]] MachineProfile find_machine(const std::string& name_or_path);

}  // namespace apb::sim
