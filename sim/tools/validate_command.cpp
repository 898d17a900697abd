// apb sim validate: published and measured times replayed, cell by cell.

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "reference/cli/text_table.hpp"
#include "sim/machine/profile_audit.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/validate/replay.hpp"
#include "sim/work/layer_plan.hpp"

namespace apb::sim {
namespace {

struct ValidateOptions {
  std::vector<std::string> sets;
  bool json = false;
};

/// Parts by row and method that a person reads; more are summed up alone, and listed by --json.
constexpr std::size_t kMostPartRows = 40;

Table cell_table(const Replay& replay) {
  Table table{{"", "tokens", "measured", "predicted", "error", "8 of 10 within", "", "memory"}, {}};
  for (const Cell& cell : replay.cells) {
    std::vector<std::string> row{cell.what, cell.doc_len > 0 ? with_separators(cell.doc_len) : ""};
    if (cell.measured) {
      row.insert(row.end(),
                 {text_of(*cell.measured), text_of(cell.predicted), error_text(cell.error()),
                  text_of(cell.band), cell.band.holds(*cell.measured) ? "" : "outside"});
    } else {
      row.insert(row.end(), {"out of memory", text_of(cell.predicted), "", "", ""});
    }
    std::string memory(cell.fit ? to_string(*cell.fit) : "");
    if (!cell.memory_agrees()) memory += " (wrong)";
    row.push_back(memory);
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table part_table(const Replay& replay) {
  Table table{{"part of a layer", "", "measured", "predicted", "error"}, {}};
  for (const PartCell& cell : replay.parts) {
    table.rows.push_back({cell.method, cell.part, text_of(cell.measured), text_of(cell.predicted),
                          error_text(cell.predicted / cell.measured - 1)});
  }
  return table;
}

/// A line a part: how far off it is over all methods and lengths.
Table part_errors(const Replay& replay) {
  Table table{{"part", "rows", "mean error", "worst"}, {}};
  for (const std::string_view name : kPartNames) {
    double sum = 0, worst = 0;
    int rows = 0;
    for (const PartCell& cell : replay.parts) {
      if (cell.part != name) continue;
      const double error = cell.predicted / cell.measured - 1;
      sum += std::abs(error);
      if (std::abs(error) > std::abs(worst)) worst = error;
      ++rows;
    }
    if (rows == 0) continue;
    table.rows.push_back(
        {std::string(name), std::to_string(rows), percent_text(sum / rows), error_text(worst)});
  }
  return table;
}

void print_text(const ValidationSet& set, const std::vector<Finding>& warnings,
                const Replay& replay) {
  fmt::print("{}\n{}\nSource: {}\n", set.title, repeated("-", text_columns(set.title)), set.source);
  for (const std::string& note : set.notes) fmt::print("Note: {}\n", note);
  for (const Finding& warning : warnings) {
    fmt::print("Note: machine {}, {}: {}\n", set.machine, warning.key, warning.text);
  }
  fmt::print("\n{}\n", cell_table(replay).text());
  fmt::print("mean error {}, worst {}; {} of times inside their band, median half width {}\n",
             percent_text(replay.mean_error), percent_text(replay.worst_error),
             percent_text(replay.coverage), percent_text(replay.half_width));
  if (!replay.parts.empty()) {
    if (replay.parts.size() <= kMostPartRows) fmt::print("\n{}", part_table(replay).text());
    fmt::print("\n{}", part_errors(replay).text());
  }
  if (replay.broken.empty()) fmt::print("\nall bounds hold\n\n");
  for (const std::string& bound : replay.broken) fmt::print("\nBROKEN: {}", bound);
  if (!replay.broken.empty()) fmt::print("\n\n");
}

nlohmann::ordered_json to_json(const ValidationSet& set, const Replay& replay) {
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const Cell& cell : replay.cells) {
    nlohmann::ordered_json one{{"what", cell.what},
                               {"method", cell.method},
                               {"doc_len", cell.doc_len},
                               {"predicted_s", cell.predicted.number},
                               {"band", to_json(cell.band)}};
    one["fit"] = nullptr;
    if (cell.fit) one["fit"] = to_string(*cell.fit);
    one["measured_s"] = nullptr;
    if (cell.measured) {
      one["measured_s"] = cell.measured->number;
      one["error"] = cell.error();
    }
    cells.push_back(std::move(one));
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const PartCell& cell : replay.parts) {
    parts.push_back({{"method", cell.method},
                     {"part", cell.part},
                     {"measured_s", cell.measured.number},
                     {"predicted_s", cell.predicted.number}});
  }
  return {{"set", set.name},
          {"title", set.title},
          {"machine", set.machine},
          {"cells", cells},
          {"parts", parts},
          {"mean_error", replay.mean_error},
          {"worst_error", replay.worst_error},
          {"coverage", replay.coverage},
          {"median_half_width", replay.half_width},
          {"broken", replay.broken}};
}

ExitStatus run_validate(const ValidateOptions& options) {
  const std::vector<std::string> names =
      options.sets.empty() ? known_validation_sets() : options.sets;
  nlohmann::ordered_json report{{"schema", "apb-sim-validate"}, {"version", 1}};
  report["sets"] = nlohmann::ordered_json::array();
  bool right = true;
  for (const std::string& name : names) {
    const ValidationSet set = find_validation_set(name);
    const auto [profile, warnings] = audited_machine(set.machine);
    const Replay result = replay(set, MachineModel(profile), model_of(set.model));
    right = right && result.broken.empty();
    if (options.json) {
      report["sets"].push_back(to_json(set, result));
    } else {
      print_text(set, warnings, result);
    }
  }
  if (options.json) fmt::print("{}\n", report.dump(2));
  return right ? ExitStatus::kRight : ExitStatus::kCheckFailed;
}

}  // namespace

void add_validate_command(CLI::App& sim, Work& work) {
  const auto options = std::make_shared<ValidateOptions>();
  CLI::App* command = sim.add_subcommand(
      "validate", "published and measured times replayed; status 1 if a stated bound is broken");
  command->add_option("sets", options->sets,
                      "names in configs/validation, or .json files (default: all)");
  command->add_flag("--json", options->json, "JSON instead of tables");
  command->callback([options, &work] { work = [options] { return run_validate(*options); }; });
}

}  // namespace apb::sim
