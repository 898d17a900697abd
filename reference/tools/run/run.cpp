// apb run: prefill a text by any method over ranks, ask a question, report what it took.

#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/launch/launch.hpp"
#include "reference/model/run_memory.hpp"
#include "reference/model_io/request_json.hpp"
#include "reference/model_io/run_report.hpp"
#include "reference/model_io/run_request.hpp"

namespace apb {
namespace {

const Precisions kPrecisions{"float", "double"};

template <class Scalar>
ExitStatus run_job(const RankEnvironment& rank, const nlohmann::json& job,
                   SharedWeights<Scalar>& shared_weights) {
  const auto model = job.at("model").get<ModelSource>();
  const auto request = job.at("request").get<EvaluationRequest>();
  const ModelWeights<Scalar>& weights = shared_weights.get(model);
  Progress progress(std::string(to_string(request.method)), weights.shape.num_layers,
                    job.at("progress_on_terminal"));
  const Evaluation<Scalar> evaluation =
      evaluate(request, weights, rank, [&](Index layers) { progress.done(layers); });
  if (rank.communicator.rank() != 0) return ExitStatus::kRight;

  progress.clear();
  report_results(job, request, model.tokenizer(), evaluation);
  return ExitStatus::kRight;
}

/// The job, once it is known that this machine has the memory for it. (Under an MPI launcher others
/// may take part.)
nlohmann::json checked_job(const CLI::App& app, const RunOptions& options) {
  nlohmann::json job = prepare_job(app, options, kPrecisions);
  if (!launched_process()) {
    const auto request = job.at("request").get<EvaluationRequest>();
    const bool alone = parse_transport(options.transport) == Transport::kLocal;
    require_run_memory(request.method, request.config, options.model.shape(),
                       options.precision == "double" ? sizeof(double) : sizeof(float),
                       alone ? 1 : request.config.num_ranks);
  }
  return job;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  CLI::App app("Prefill a text over ranks by a method, answer a question, report what it took.",
               "apb-run");
  apb::RunOptions options;
  apb::add_options(app, options, apb::kPrecisions);
  const auto work = [&] {
    apb::SharedWeights<float> float_weights;
    apb::SharedWeights<double> double_weights;
    return apb::launch(
        app.get_name(), apb::parse_transport(options.transport), options.num_ranks,
        [&] { return apb::checked_job(app, options); },
        [&](const apb::RankEnvironment& rank, const nlohmann::json& job) {
          return job.at("precision") == "double" ? apb::run_job(rank, job, double_weights)
                                                 : apb::run_job(rank, job, float_weights);
        });
  };
  return apb::tool_main(app, argc, argv, work, apb::end_rank);
}
