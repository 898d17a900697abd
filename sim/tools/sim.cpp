// apb sim: how long a prefill takes on a cluster, by which method, and how sure that is.

#include <fmt/ranges.h>

#include <algorithm>

#include "reference/cli/tool_main.hpp"
#include "sim/tools/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Predicts prefill time on a cluster of GPUs.", "apb-sim");
  app.require_subcommand(1);
  apb::sim::Work work;
  apb::sim::add_compare_command(app, work);
  apb::sim::add_predict_command(app, work);
  apb::sim::add_sweep_command(app, work);
  apb::sim::add_search_command(app, work);
  apb::sim::add_sensitivity_command(app, work);
  apb::sim::add_trace_command(app, work);
  apb::sim::add_calibrate_command(app, work);
  apb::sim::add_validate_command(app, work);
  std::vector<std::string> names;
  for (const CLI::App* known : app.get_subcommands(nullptr)) names.push_back(known->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::ranges::find(names, argv[1]) == names.end()) {
    const apb::BadInput refusal("command line", "command", argv[1],
                                fmt::format("one of {}", fmt::join(names, ", ")));
    return apb::end_process("apb-sim", refusal.status(), refusal.what());
  }
  return apb::tool_main(app, argc, argv, [&] { return work(); });
}
