// apb bench: verifies, then times: a layer of prefill by APB, Star, zigzag ring and Full, each
// rank's work in turn on one GPU; and the products and attention calls that a machine profile is
// made of.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/random_model.hpp"
#include "cuda/comm/choose_gpu.hpp"
#include "cuda/tools/bench/announcer.hpp"
#include "cuda/tools/bench/bench_report.hpp"
#include "cuda/tools/bench/judge_methods.hpp"
#include "cuda/tools/bench/measure.hpp"
#include "cuda/tools/bench/measure_machine.hpp"
#include "cuda/tools/bench/versions.hpp"
#include "reference/cli/file_options.hpp"
#include "reference/cli/known_models.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/whole_file.hpp"

namespace apb::cuda {
namespace {

struct BenchOptions {
  std::vector<std::string> models{"llama-3.1-8b", "qwen2.5-14b", "yi-34b-200k"};
  std::vector<Index> lengths{32768, 65536, 131072, 262144, 524288};
  int num_ranks = 8;
  double link_gb_per_s = 323;
  double latency_us = 17;
  std::string python = "python3";
  bool no_machine = false;
  std::string json_path, csv_path;
};

void add_options(CLI::App& app, BenchOptions& options) {
  reads_files(
      app.add_option("--models", options.models, "names in configs/models, or .json files: a,b,c"))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--lengths", options.lengths, "tokens of the document: a,b,c")
      ->delimiter(',')
      ->check(whole_number(1024, Index{1} << 21))  // what a rank's decode may hold
      ->capture_default_str();
  app.add_option("--ranks", options.num_ranks, "ranks that share the document")
      ->check(whole_number(1, kMaxPassingSlices + 1))
      ->capture_default_str();
  app.add_option("--link", options.link_gb_per_s,
                 "GB/s that a GPU receives from the others (default: an H100's all-gather over "
                 "NVLink, as configs/machines/H100.json has it)")
      ->check(real_number(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--latency", options.latency_us, "microseconds of one exchange")
      ->check(real_number(0, 1e6))
      ->capture_default_str();
  app.add_option("--python", options.python, "a Python with PyTorch, for the times by cuDNN")
      ->capture_default_str();
  app.add_flag("--layers-only", options.no_machine,
               "leave out the products and attention calls of a machine profile");
  writes_file(app.add_option("--json", options.json_path,
                             "write all into this file, for apb sim calibrate"));
  writes_file(
      app.add_option("--csv", options.csv_path, "write the time of every part into this file"));
}

void write_results(const BenchOptions& options, const BenchResults& results) {
  if (!options.json_path.empty()) {
    write_whole_file(options.json_path, bench_json(results).dump(1) + '\n');
  }
  if (!options.csv_path.empty()) write_whole_file(options.csv_path, bench_csv(results));
}

ExitStatus run(BenchOptions options, const std::string& command) {
  std::sort(options.lengths.begin(), options.lengths.end());
  std::vector<ModelShape> models;
  for (const std::string& name : options.models) models.push_back(find_model(name).shape);
  for (const std::string& path : {options.json_path, options.csv_path}) {
    if (!path.empty()) check_writable(path);
  }
  choose_gpu(0);
  BenchResults results{.gpu = device_name(),
                       .versions = versions(),
                       .date = today(),
                       .command = command,
                       .num_ranks = options.num_ranks,
                       .link = {1e9 * options.link_gb_per_s, 1e-6 * options.latency_us},
                       .peer = {},
                       .no_peer = {},
                       .lengths = {},
                       .products = {},
                       .attention = {}};
  const Announcer announce;
  fmt::print("{}, {}, {}; random data, L2 cache cold, medians\n", results.gpu, results.versions,
             results.date);
  const Stream stream;
  for (const ModelShape& shape : models) {
    const auto model = random_model(shape, 1, kRetainingHidden, 1, stream.get());
    stream.synchronize();
    const auto question = [&](Index doc_len) {
      return LengthQuestion{doc_len, options.num_ranks, results.link};
    };
    if (!methods_are_right(model, question(options.lengths.front()), announce)) {
      fmt::print("nothing is timed that is wrong\n");
      return ExitStatus::kCheckFailed;
    }
    for (const Index doc_len : options.lengths) {
      results.lengths.push_back(measure_length(model, question(doc_len), announce));
      announce.clear();
      fmt::print("{}", length_text(results.lengths.back()));
      std::fflush(stdout);
    }
  }
  if (!options.no_machine) measure_machine(models, results, announce);
  announce("attention by cuDNN");
  measure_peer(options.python, results);
  announce.clear();
  fmt::print("{}", summary_text(results));
  write_results(options, results);
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  CLI::App app(
      "Verify, then time on this GPU: a layer of prefill by APB, Star, zigzag ring and Full, each "
      "rank's work in turn; products and attention for a machine profile.",
      "apb-bench");
  apb::cuda::BenchOptions options;
  apb::cuda::add_options(app, options);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return apb::tool_main(app, argc, argv, [&] {
    return apb::cuda::run(options, fmt::format("apb bench {}", fmt::join(words, " ")));
  });
}
