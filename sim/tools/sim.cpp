// apb sim: how long a prefill takes on a cluster, by which method, and how sure that is.

#include "reference/cli/tool_main.hpp"
#include "sim/tools/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Predicts prefill time on a cluster of GPUs.", "apb-sim");
  app.require_subcommand(1);
  apb::sim::Work work;
  apb::sim::add_compare_command(app, work);
  apb::sim::add_predict_command(app, work);
  apb::sim::add_sensitivity_command(app, work);
  apb::sim::add_trace_command(app, work);
  apb::sim::add_calibrate_command(app, work);
  apb::sim::add_validate_command(app, work);
  return apb::tool_main(app, argc, argv, [&] { return work(); });
}
