#include "reference/cli/config_files.hpp"
#include "sim/machine/profile_file.hpp"

namespace apb::sim {

std::vector<std::string> known_machines() {
  return config_names("machines");
}

std::string machine_path(const std::string& name_or_path) {
  return config_path("machines", "machine", name_or_path);
}

MachineProfile find_machine(const std::string& name_or_path) {
  return read_machine_profile(machine_path(name_or_path));
}

}  // namespace apb::sim
