// A run over NCCL in which one rank fails, launched as `apb cuda --transport mpi` is. For
// faults_test.py.
//
//   failing_rank --how HOW --ranks N --failing RANK
//
//   none       nobody fails: the run ends well
//   start      before NCCL has begun: the others wait for their communicator
//   scores     before an all-gather that the others wait in
//   attention  while an all-gather is under way
//   memory     as scores, for want of device memory
//   input      as scores, with a line for bad input
//   kill       as scores, by a signal

#include <csignal>
#include <optional>

#include "cuda/comm/choose_gpu.hpp"
#include "cuda/comm/nccl_communicator.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/launch/launch.hpp"
#include "tests/cuda/gpu_model.hpp"

namespace apb {
namespace {

void fail(const std::string& how) {
  if (how == "memory") const cuda::DeviceBuffer<std::byte> much(std::size_t{1} << 40);
  if (how == "input") throw BadInput("test", "how", how, "something else");
  if (how == "kill") std::raise(SIGKILL);
  throw CannotRun("this rank has failed on purpose");
}

/// Where in a layer a rank fails.
std::optional<cuda::LayerPart> place_of(const std::string& how) {
  if (how == "none" || how == "start") return std::nullopt;
  return how == "attention" ? cuda::LayerPart::kAttention : cuda::LayerPart::kScores;
}

ExitStatus run_rank(const RankEnvironment& process, const nlohmann::json& job) {
  Communicator& world = process.communicator;
  const auto how = job.at("how").get<std::string>();
  const bool fails = world.rank() == job.at("failing");
  cuda::choose_gpu(world);
  ApbConfig config;
  config.doc_len = 450;
  config.num_ranks = world.num_ranks();
  config.anchor_len = 17;
  config.compressor = Compressor::kRandom;
  config.num_kept = 11;
  const auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  const GpuCase work = make_gpu_case(Method::kApb, config, weights.shape, 93);
  const BlockLayout layout = method_layout(work.method, work.config);
  const cuda::Stream stream;
  const auto model = cuda::to_device<cuda::Bfloat16>(weights, stream.get());
  stream.synchronize();
  if (fails && how == "start") fail(how);

  const auto communicator = cuda::nccl_communicator(world);
  cuda::GpuRank rank{work.config, layout, *communicator};
  const auto place = place_of(how);
  rank.on_part = [&](cuda::LayerPart part) {
    if (fails && part == place) fail(how);
  };
  (void)cuda::prefill<cuda::Bfloat16>(rank, model, {work.method, work.document, work.query, 0},
                                      [](Index) {});
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  CLI::App app("A run over NCCL in which one rank fails.", "failing_rank");
  std::string transport = "mpi", how = "none";
  int num_ranks = 3, failing = 1;
  app.add_option("--transport", transport);
  app.add_option("--ranks", num_ranks);
  app.add_option("--how", how);
  app.add_option("--failing", failing);
  const auto work = [&] {
    return apb::launch(
        app.get_name(), apb::Transport::kMpi, num_ranks,
        [&] {
          return nlohmann::json{{"how", how}, {"failing", failing}};
        },
        apb::run_rank);
  };
  return apb::tool_main(app, argc, argv, work, apb::end_rank);
}
