// apb verify: judges a candidate file, or a plug-in kernel, against the truth.

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/case/row_sample.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "reference/core/regular_file.hpp"
#include "reference/core/standard_error.hpp"
#include "reference/tools/verify/verify_report.hpp"

namespace apb {
namespace {

constexpr double kTimeout_s = 60;

struct VerifyOptions {
  std::string case_path;
  std::string candidate_path;
  std::string plugin_path;
  std::vector<std::string> required;
  std::string json_path;
  std::optional<Index> num_rows;
  std::optional<Index> seed;
  std::optional<double> timeout_s;
  bool others = false;

  [[nodiscard]] std::uint64_t seed_or_default() const {
    return static_cast<std::uint64_t>(seed.value_or(0));
  }
};

void add_options(CLI::App& app, VerifyOptions& options) {
  reads_files(app.add_option("CASE", options.case_path, "case file (./apb case writes one)"));
  reads_files(app.add_option("CANDIDATE", options.candidate_path, "what a kernel computed for it"));
  reads_files(app.add_option("--plugin", options.plugin_path,
                             "judge this shared library instead (reference/core/apb_plugin.h), on "
                             "a grid of shapes and on CASE if there is one"));
  app.add_option(
         "--timeout", options.timeout_s,
         fmt::format("seconds that one call of the plug-in may take (default: {})", kTimeout_s))
      ->check(real_number(0.01, 86400));
  app.add_option("--require", options.required,
                 "quantities that must be there, a,b: out, lse, importance, kept_positions, decode")
      ->delimiter(',');
  app.add_option("--rows", options.num_rows,
                 "judge a sample of about so many rows of each rank (default: all)")
      ->check(whole_number(1, kMaxRows));
  app.add_option("--seed", options.seed, "of the sample and of the plug-in's inputs (default: 0)")
      ->check(whole_number(0, kMaxSeed));
  app.add_flag("--others", options.others,
               "also say what the field's usual checks say of the same out; after a FAIL they are "
               "said anyway");
  writes_file(
      app.add_option("--json", options.json_path, "also write all verdicts into this file"));
}

/// One line on a terminal that is overwritten; nothing elsewhere.
void show_progress(const std::string& what) {
  if (isatty(STDERR_FILENO) == 1) print_to_stderr(fmt::format("\r\033[Kjudging {} …", what));
}

void end_progress() {
  if (isatty(STDERR_FILENO) == 1) print_to_stderr("\r\033[K");
}

JudgeOptions judge_options(const VerifyOptions& options) {
  JudgeOptions judging;
  judging.progress = show_progress;
  if (options.num_rows) {
    judging.rows_of = [count = *options.num_rows, seed = options.seed_or_default()](
                          const CaseRank& rank) { return sample_rows(rank.layout, count, seed); };
  }
  return judging;
}

CaseFile checked_case(const std::string& path) {
  check_hdf5_in_child(path);
  return read_case(path);
}

void write_json(const VerifyOptions& options, const nlohmann::json& json) {
  if (!options.json_path.empty()) write_whole_file(options.json_path, json.dump(2) + '\n');
}

/// \throws BadInput if an option is given that would change nothing
void require_used_options(const VerifyOptions& options) {
  const bool plugin = !options.plugin_path.empty();
  const auto refuse = [](bool given, const char* option, const char* why) {
    if (given) throw BadInput(fmt::format("command line: {} {}", option, why));
  };
  refuse(plugin && !options.candidate_path.empty(), "CANDIDATE",
         "does not go with --plugin, which computes one");
  refuse(plugin && !options.required.empty(), "--require",
         "does not go with --plugin, which always gives out and lse");
  refuse(plugin && options.num_rows && options.case_path.empty(), "--rows",
         "needs a CASE: of the grid's shapes all rows are judged");
  refuse(!plugin && options.timeout_s.has_value(), "--timeout", "needs --plugin");
  refuse(!plugin && options.seed && !options.num_rows, "--seed", "needs --rows or --plugin");
}

ExitStatus verify_plugin(const VerifyOptions& options) {
  require_regular_file(options.plugin_path);
  std::optional<CaseFile> case_file;
  if (!options.case_path.empty()) case_file = checked_case(options.case_path);
  const PluginHost host{std::filesystem::absolute(options.plugin_path),
                        options.timeout_s.value_or(kTimeout_s)};
  auto results = judge_plugin_on_grid(host, options.seed_or_default(), show_progress);
  if (case_file) {
    for (ShapeResult& result : judge_plugin_on_case(host, *case_file, judge_options(options))) {
      results.push_back(std::move(result));
    }
  }
  end_progress();
  write_json(options, plugin_json(results));
  fmt::print("{}", plugin_text(results, options.others));
  const bool pass = std::all_of(results.begin(), results.end(),
                                [](const ShapeResult& result) { return result.pass(); });
  return pass ? ExitStatus::kRight : ExitStatus::kCheckFailed;
}

ExitStatus verify_candidate(const VerifyOptions& options) {
  if (options.case_path.empty() || options.candidate_path.empty()) {
    throw BadInput("command line: CASE and CANDIDATE, or --plugin LIB.so, must be given");
  }
  Judgement nothing;
  require_quantities(nothing, options.required);  // refuses unknown names before long work
  const CaseFile case_file = checked_case(options.case_path);
  check_hdf5_in_child(options.candidate_path);
  const CandidateFile candidate = read_candidate(options.candidate_path, case_file);
  Judgement judgement = judge(case_file, candidate, judge_options(options));
  require_quantities(judgement, options.required);
  end_progress();
  write_json(options, judgement_json(judgement));
  fmt::print("{}", judgement_text(judgement, options.others));
  return judgement.pass() ? ExitStatus::kRight : ExitStatus::kCheckFailed;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  apb::serve_plugin_call(argc, argv);
  apb::VerifyOptions options;
  CLI::App app("Judges what a kernel computed for a case, or a kernel itself, against the truth.",
               "apb-verify");
  apb::add_options(app, options);
  return apb::tool_main(app, argc, argv, [&] {
    apb::require_used_options(options);
    return options.plugin_path.empty() ? apb::verify_candidate(options)
                                       : apb::verify_plugin(options);
  });
}
