// How fast predictions are: one by one, by method, by ranks and layers; and a sweep of a million of
// them. Processor time where one core is meant, so that a busy machine falsifies it less. Not a
// test: run it on a quiet machine.

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>

#include "reference/core/keep_freed_memory.hpp"
#include "reference/core/parallel_for.hpp"
#include "sim/machine/profile_audit.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/sweep.hpp"
#include "sim/work/lengths.hpp"

namespace apb::sim {
namespace {

constexpr Index kPredictions = 20'000;
constexpr Index kPoints = 1'000'000;

/// "model name" of the processor, "VmHWM" of this process.
std::string line_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key))
      return line.substr(line.find_first_not_of(" \t", line.find(':') + 1));
  }
  return "unknown";
}

double processor_s() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Llama-3.1-8B; lengths from 16K on, another for each point, so that nothing is asked twice.
Job job_of(SimMethod method, Index point, int ranks, Index layers = 32) {
  ModelSizes model;
  model.name = "Llama-3.1-8B";
  model.num_layers = layers;
  model.hidden_size = 4096;
  model.intermediate_size = 14336;
  model.num_q_heads = 32;
  model.num_kv_heads = 8;
  model.head_dim = 128;
  model.vocab_size = 128256;
  model.num_parameters = 8'030'261'248;
  Job job;
  set_model(job, model);
  job.method = method;
  job.lengths.doc_len = 16'384 + point;
  job.lengths.num_ranks = ranks;
  job.lengths.query_len = 64;
  job.lengths.compressor = Compressor::kNone;
  if (method == SimMethod::kApb) job.lengths.compressor = Compressor::kRetainingHead;
  if (method == SimMethod::kSpava) job.lengths.compressor = Compressor::kRecent;
  if (entry_of(method).passes) job.lengths.embedded_query_len = job.lengths.query_len;
  set_usual_lengths(job);
  return job;
}

/// Microseconds of one core for a prediction.
double prediction_us(const MachineModel& machine, SimMethod method, int ranks, Index layers = 32,
                     Index count = kPredictions) {
  const double before = processor_s();
  double all_s = 0;  // used below, so that no prediction can be left out
  for (Index point = 0; point < count; ++point) {
    all_s += predict_first_token(machine, job_of(method, point, ranks, layers)).prefill.number;
  }
  const double us = 1e6 * (processor_s() - before) / static_cast<double>(count);
  return all_s > 0 ? us : 0;
}

void time_sweep(const MachineModel& machine, Index points) {
  SweepRequest request;
  request.num_points = points;
  request.job_of = [&](Index point) {
    const SimMethodEntry& entry =
        kSimMethods.at(static_cast<std::size_t>(point) % kSimMethods.size());
    return job_of(entry.method, point, 8);
  };
  const double processor_before = processor_s();
  const auto before = std::chrono::steady_clock::now();
  const auto found = sweep([&](Index) -> const MachineModel& { return machine; }, request);
  constexpr Index kPointsAPrompt = 200;
  const auto front = pareto_front(found, [](Index point) { return point / kPointsAPrompt; });
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - before;
  const double processor = processor_s() - processor_before;
  fmt::print("  {:9} points  {:6.2f} s, {:6.2f} s of processor time, {:5.2f} us a point\n",
             found.size(), wall.count(), processor, 1e6 * processor / static_cast<double>(points));
  if (front.empty()) fmt::print("nothing runs\n");
}

void run() {
  const MachineModel machine(audited_machine("H100").profile);
  fmt::print("{}, {}\n\n", line_of("/proc/cpuinfo", "model name"), machine.profile().title);
  fmt::print("one core, 8 ranks, 32 layers: us a prediction\n");
  for (const SimMethodEntry& entry : kSimMethods) {
    fmt::print("  {:16} {:6.2f}\n", entry.title, prediction_us(machine, entry.method, 8));
  }
  fmt::print("\nAPB by layers\n");
  for (const Index layers : {8, 32, 128, 512}) {
    fmt::print("  {:16} {:6.2f}\n", layers, prediction_us(machine, SimMethod::kApb, 8, layers));
  }
  fmt::print("\nby ranks              APB    Ring\n");
  for (const int ranks : {8, 64, 512}) {
    const Index count = 8 * kPredictions / ranks;
    fmt::print("  {:16} {:6.0f}  {:6.0f}\n", ranks,
               prediction_us(machine, SimMethod::kApb, ranks, 32, count),
               prediction_us(machine, SimMethod::kRing, ranks, 32, count));
  }
  fmt::print("\na sweep of all methods at 8 ranks and its Pareto front, {} threads\n",
             num_threads());
  for (const Index points : {kPoints / 4, kPoints / 2, kPoints}) time_sweep(machine, points);
  fmt::print("  most memory held: {}\n", line_of("/proc/self/status", "VmHWM"));
}

}  // namespace
}  // namespace apb::sim

int main() {
  apb::keep_freed_memory();
  apb::sim::run();
}
