// apb cuda: a case file answered by the GPU's kernels; or a model and a text on the GPU, all ranks
// in turn on one or a GPU a rank over NCCL.

#include <fmt/core.h>

#include "cuda/comm/choose_gpu.hpp"
#include "cuda/comm/loopback.hpp"
#include "cuda/stream.hpp"
#include "cuda/tools/case_run.hpp"
#include "cuda/tools/model_run.hpp"
#include "reference/cli/file_options.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "reference/launch/launch.hpp"
#include "reference/model_io/request_json.hpp"
#include "reference/model_io/run_request.hpp"
#ifdef APB_HAS_NCCL
#include "cuda/comm/nccl_communicator.hpp"
#endif

namespace apb::cuda {
namespace {

const Precisions kPrecisions{"bf16", "fp16"};

/// A case file and where its answers go.
struct CaseOptions {
  std::string case_path;
  std::string output_path;
};

nlohmann::json prepare_case(const CLI::App& app, const CaseOptions& options) {
  if (options.case_path.empty()) throw BadInput("--output: belongs to a case file: name one");
  if (options.output_path.empty()) {
    throw BadInput("--output is missing: where the answers of the case go");
  }
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (option->count() > 0 && name != "CASE" && name != "output") {
      throw BadInput(fmt::format("--{}: goes with --text, not with a case file ({})", name,
                                 options.case_path));
    }
  }
  check_hdf5_in_child(options.case_path);
  Hdf5Writer(options.output_path);  // refuse now, not at the end
  return {};
}

ExitStatus run_case(const CaseOptions& options) {
  const CandidateFile candidate = answer_case(options.case_path, read_case(options.case_path));
  write_candidate(options.output_path, candidate);
  fmt::print("{}: {} rank{}; judge it with: apb verify {} {}\n", options.output_path,
             candidate.ranks.size(), candidate.ranks.size() == 1 ? "" : "s", options.case_path,
             options.output_path);
  return ExitStatus::kRight;
}

/// All ranks of the job that this process has: one of an MPI run, or all of them.
template <class T>
ExitStatus run_job(const RankEnvironment& process, Transport transport, const nlohmann::json& job) {
  const auto source = job.at("model").get<ModelSource>();
  const auto request = job.at("request").get<EvaluationRequest>();
  choose_gpu(process.communicator);
  const Stream stream;
  const DeviceModel<T> model = to_device<T>(source.weights<float>(), stream.get());
  stream.synchronize();
  Progress progress(std::string(to_string(request.method)), model.shape.num_layers,
                    job.at("progress_on_terminal"));
  const auto run_rank = [&](DeviceCommunicator& communicator) {
    const Evaluation<float> evaluation =
        evaluate(request, model, communicator, [&](Index layers) { progress.done(layers); });
    if (communicator.rank() != 0) return;
    progress.clear();
    report_results(job, request, source.tokenizer(), evaluation);
  };
  if (transport == Transport::kLocal) {
    run_loopback_ranks(request.config.num_ranks, run_rank);
    return ExitStatus::kRight;
  }
#ifdef APB_HAS_NCCL
  run_rank(*nccl_communicator(process.communicator));
  return ExitStatus::kRight;
#else
  throw CannotRun("--transport mpi: this program was built without NCCL");
#endif
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  CLI::App app(
      "Answer a case file by the GPU's kernels; or prefill a text on the GPU, answer a "
      "question, report what it took.",
      "apb-cuda");
  apb::RunOptions options;
  apb::cuda::CaseOptions case_options;
  apb::reads_files(
      app.add_option("CASE", case_options.case_path, "case file to answer, instead of a text"));
  apb::writes_file(app.add_option("--output", case_options.output_path,
                                  "candidate file with the answers of CASE"));
  apb::add_options(app, options, apb::cuda::kPrecisions);
  const auto work = [&] {
    if (!case_options.case_path.empty() || !case_options.output_path.empty()) {
      return apb::launch(
          app.get_name(), apb::Transport::kLocal, 1,
          [&] { return apb::cuda::prepare_case(app, case_options); },
          [&](const auto&, const auto&) { return apb::cuda::run_case(case_options); });
    }
    const apb::Transport transport = apb::parse_transport(options.transport);
    // Loopback has all ranks in one process.
    const int processes = transport == apb::Transport::kLocal ? 1 : options.num_ranks;
    return apb::launch(
        app.get_name(), transport, processes,
        [&] { return apb::prepare_job(app, options, apb::cuda::kPrecisions); },
        [&](const apb::RankEnvironment& process, const nlohmann::json& job) {
          return job.at("precision") == "fp16"
                     ? apb::cuda::run_job<apb::cuda::Float16>(process, transport, job)
                     : apb::cuda::run_job<apb::cuda::Bfloat16>(process, transport, job);
        });
  };
  return apb::tool_main(app, argc, argv, work, apb::end_rank);
}
