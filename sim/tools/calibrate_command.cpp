// apb sim calibrate: a machine profile from the user's own measurements.

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/calibrate/calibrate.hpp"
#include "sim/machine/profile_audit.hpp"
#include "sim/machine/profile_file.hpp"
#include "sim/predict/number_text.hpp"
#include "sim/tools/commands.hpp"

namespace apb::sim {
namespace {

constexpr std::size_t kMostWarnings = 5;

struct CalibrateOptions {
  std::string machine;
  std::string out;
  std::string name;
  std::string note;
  std::vector<std::string> nccl_tests;
  std::vector<std::string> gemm;
  std::vector<std::string> attention;
  std::vector<std::string> bench;
  std::string collective;
  std::string backend = "own";
  Index ranks = 0;
  Index nodes = 0;
  bool half = false;
};

std::vector<MachineProfile> other_machines() {
  std::vector<MachineProfile> others;
  for (const std::string& name : known_machines()) others.push_back(find_machine(name));
  return others;
}

/// Each file is judged by itself, so that a refusal names it.
/// \throws BadInput for a file without measurements, or whose measurements cannot be
Measurements read_all(const CalibrateOptions& options, const MachineProfile& base) {
  const std::vector<MachineProfile> others = other_machines();
  Measurements all;
  const auto take = [&](const std::vector<std::string>& paths, auto&& read) {
    for (const std::string& path : paths) {
      Measurements measured;
      read(path, measured);
      if (measured.size() == 0) throw BadInput(path + ": holds no measurement");
      for (const Finding& finding :
           audit_profile(merged(base, measured, base.spread.gemm.source), path, others)) {
        if (finding.severity == Severity::kError) throw BadInput(finding.line());
      }
      all.add(measured);
    }
  };
  NcclTestsHints hints{{}, options.ranks, options.nodes};
  const auto kind = std::ranges::find(kCollectiveNames, options.collective);
  if (kind != kCollectiveNames.end()) {
    hints.kind = static_cast<CollectiveKind>(kind - kCollectiveNames.begin());
  }
  take(options.nccl_tests,
       [&](const std::string& path, Measurements& into) { read_nccl_tests(path, hints, into); });
  take(options.gemm, read_gemm_csv);
  take(options.attention, [&](const std::string& path, Measurements& into) {
    read_attention_csv(path, options.backend, into);
  });
  take(options.bench, read_bench_json);
  return all;
}

std::string source_note(const CalibrateOptions& options) {
  std::vector<std::string> files;
  for (const auto* list :
       {&options.nccl_tests, &options.gemm, &options.attention, &options.bench}) {
    for (const std::string& path : *list) {
      files.push_back(std::filesystem::path(path).filename().string());
    }
  }
  return fmt::format("apb sim calibrate from {}{}{}{}", options.half ? "every other point of " : "",
                     fmt::join(files, ", "), options.note.empty() ? "" : "; ", options.note);
}

Table fit_table(const std::vector<FamilyFit>& fits) {
  Table table{{"family", "points", "held out", "mean error", "p95", "worst", "at"}, {}};
  for (const FamilyFit& fit : fits) {
    const bool none = fit.held_out == 0;
    table.rows.push_back({fit.family, std::to_string(fit.points), std::to_string(fit.held_out),
                          none ? "-" : percent_text(fit.mean), none ? "-" : percent_text(fit.p95),
                          none ? "-" : error_text(fit.worst), none ? "-" : fit.worst_point});
  }
  return table;
}

/// \throws BadInput for a profile that cannot be
void print_findings(const MachineProfile& profile, const std::string& file) {
  std::size_t warnings = 0;
  for (const Finding& finding : audit_profile(profile, file, other_machines())) {
    if (finding.severity == Severity::kError) throw BadInput(finding.line());
    if (++warnings <= kMostWarnings) fmt::print("warning: {}\n", finding.line());
  }
  if (warnings > kMostWarnings) fmt::print("and {} more warnings\n", warnings - kMostWarnings);
}

ExitStatus run_calibrate(const CalibrateOptions& options) {
  if (!options.out.ends_with(".json")) {
    throw BadInput("command line", "--out", options.out, "a .json file");
  }
  const std::string name =
      options.name.empty() ? std::filesystem::path(options.out).stem().string() : options.name;
  const AuditedMachine base = audited_machine(options.machine);
  const auto [profile, fits] =
      calibrate(base.profile, read_all(options, base.profile), name, source_note(options),
                options.half ? Share::kEveryOther : Share::kAll);
  print_findings(profile, options.out);
  fmt::print("{}\nEach point held out was predicted from its neighbours, which are kept.\n{}",
             fit_table(fits).text(),
             options.half ? "The profile holds the neighbours alone.\n" : "");
  const auto spread_line = [](const char* family, const SourcedValue& before,
                              const SourcedValue& after) {
    fmt::print(
        "spread of {}: {} ({}: {})\n", family, percent_text(after.number),
        after.source == before.source ? "kept" : "new, was",
        after.source == before.source ? "too few points held out" : percent_text(before.number));
  };
  for (const FamilyFit& fit : fits) {
    const Spread& before = base.profile.spread;
    const Spread& after = profile.spread;
    if (fit.family == "gemm") spread_line("gemm", before.gemm, after.gemm);
    if (fit.family == "attention") spread_line("attention", before.attention, after.attention);
    if (fit.family == "collective") spread_line("collective", before.collective, after.collective);
  }
  write_whole_file(options.out, machine_profile_json(profile));
  fmt::print("{} written: use it with --machine {}\n", name, options.out);
  return ExitStatus::kRight;
}

}  // namespace

void add_calibrate_command(CLI::App& sim, Work& work) {
  const auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command =
      sim.add_subcommand("calibrate", "a machine profile from your own measurements");
  reads_files(
      command->add_option("--machine", options->machine,
                          "what is not measured is as there: a known machine, or a .json file"))
      ->required();
  writes_file(command->add_option("--out", options->out, "the new profile, a .json file"))
      ->required();
  CLI::Option* nccl_tests = reads_files(
      command->add_option("--nccl-tests", options->nccl_tests, "outputs of nccl-tests"));
  reads_files(command->add_option("--gemm", options->gemm, "CSV files: m,n,k and us or TFLOP/s"));
  CLI::Option* attention = reads_files(
      command->add_option("--attention", options->attention,
                          "CSV files: mask,q_len,kv_len,q_heads,kv_heads,head_dim,us[,backend]"));
  reads_files(command->add_option("--bench", options->bench,
                                  "JSON files of this project's GPU benchmarks"));
  command
      ->add_option("--collective", options->collective,
                   "which one the nccl-tests outputs hold, if they do not say")
      ->needs(nccl_tests)
      ->check(CLI::IsMember(
          std::vector<std::string>(kCollectiveNames.begin(), kCollectiveNames.end())));
  command->add_option("--ranks", options->ranks, "GPUs of the nccl-tests, if they do not say")
      ->needs(nccl_tests)
      ->check(whole_number(2, 65536));
  command->add_option("--nodes", options->nodes, "nodes of the nccl-tests, if they do not say")
      ->needs(nccl_tests)
      ->check(whole_number(1, 65536));
  command->add_option("--backend", options->backend, "attention library of CSVs without the column")
      ->needs(attention)
      ->capture_default_str();
  command->add_flag("--half", options->half,
                    "leave the points that are held out away from the profile too");
  command->add_option("--name", options->name, "the profile's name (default: the file's)");
  command->add_option("--note", options->note, "date, driver and library versions, for the source");
  command->callback([options, &work] { work = [options] { return run_calibrate(*options); }; });
}

}  // namespace apb::sim
