// Time of one transformer layer's prefill, part by part, on every rank of APB and on one GPU that
// does all (Full): each rank's work in turn on this GPU, without the time that exchanges take
// between GPUs.
//
//   cuda_layer_time MODEL.json DOC_LEN RANKS [REPEATS]
//
// MODEL.json as in configs/models. Anchor a quarter and kept entries an eighth of a block, as in
// the paper; retaining heads of 1,024 units; bf16, random weights and activations.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>

#include "cuda/benchmarks/random_model.hpp"
#include "cuda/benchmarks/random_values.hpp"
#include "cuda/benchmarks/timing.hpp"
#include "cuda/prefill.hpp"
#include "reference/core/weights/model_shape_file.hpp"

namespace apb::cuda {
namespace {

constexpr Index kRetainingHidden = 1024;
constexpr std::array<const char*, kNumLayerParts> kPartNames{
    "norms", "qkv", "rope", "scores", "select", "wait", "attend", "output", "ffn"};

/// A rank whose partners are not there: what they would send is what lies there.
class AbsentPartners final : public DeviceCommunicator {
 public:
  AbsentPartners(int rank, int num_ranks) : rank_(rank), num_ranks_(num_ranks) {}
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(const void* /*mine*/, void* /*all*/, std::size_t /*bytes*/,
                     cudaStream_t /*stream*/) override {}
  void do_send(int /*to*/, const void* /*data*/, std::size_t /*bytes*/,
               cudaStream_t /*stream*/) override {}
  void do_receive(int /*from*/, void* /*data*/, std::size_t /*bytes*/,
                  cudaStream_t /*stream*/) override {}

 private:
  int rank_, num_ranks_;
};

/// Milliseconds of each part, and of all.
struct LayerTime {
  std::array<double, kNumLayerParts> part_ms{};
  double total_ms = 0;
};

/// The run of median time of `repeats`, after two that are not counted.
LayerTime time_layer(const ApbConfig& config, const BlockLayout& layout, int rank_number,
                     const DeviceModel<Bfloat16>& model, int repeats) {
  AbsentPartners communicator(rank_number, config.num_ranks);
  std::vector<std::pair<LayerPart, Event>> marks;
  GpuRank rank{config, layout, communicator};
  const cudaStream_t stream = rank.stream.get();
  rank.on_part = [&](LayerPart part) {
    marks.emplace_back(part, Event());
    marks.back().second.record(stream);
  };
  std::vector<Index> positions;
  for (Index row = 0; row < rank.rank_layout().rows(); ++row) {
    positions.push_back(rank.rank_layout().position(row));
  }
  const LayerRoom<Bfloat16> room(model.shape, positions, stream);
  const PassingRoom<Bfloat16> passing(rank, model.retaining_hidden);
  const KeptOfLayer kept = kept_of_layer(rank);
  fill_normal(passing.gathered.data(), static_cast<Index>(passing.gathered.size()), 1, 5, stream);
  std::vector<LayerTime> times;
  for (int run = 0; run < repeats + 2; ++run) {
    fill_normal(room.hidden.data(), static_cast<Index>(room.hidden.size()), 1, 6, stream);
    marks.clear();
    const Event begin;
    begin.record(stream);
    prefill_layer(rank, model, 0, room, passing, kept);
    rank.stream.synchronize();
    LayerTime time;
    const Event* last = &begin;
    for (const auto& [part, mark] : marks) {
      const double ms = 1e3 * seconds_between(*last, mark);
      time.part_ms.at(static_cast<std::size_t>(part)) += ms;
      time.total_ms += ms;
      last = &mark;
    }
    if (run >= 2) times.push_back(time);
  }
  std::sort(times.begin(), times.end(),
            [](const LayerTime& a, const LayerTime& b) { return a.total_ms < b.total_ms; });
  return times[times.size() / 2];
}

void print(const std::string& label, const LayerTime& time) {
  fmt::print("{:8}", label);
  for (const double ms : time.part_ms) fmt::print("{:9.3f}", ms);
  fmt::print("{:10.3f}\n", time.total_ms);
}

void run(const std::string& model_path, Index doc_len, int num_ranks, int repeats) {
  const ModelShape shape = read_model_shape_file(model_path).shape;
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = num_ranks;
  const Index block_len = config.resolved_block_lens().front();
  config.anchor_len = block_len / 4;
  config.compressor = Compressor::kRetainingHead;
  config.num_kept = block_len / 8;
  set_model_shape(config, shape);
  config = method_config(Method::kApb, config);
  ApbConfig full = config;
  full.num_ranks = 1;
  full = method_config(Method::kFull, full);

  const Stream stream;
  const auto model = random_model(shape, 1, kRetainingHidden, 1, stream.get());
  stream.synchronize();
  fmt::print("{}, {} tokens, {} ranks, one layer on one {}: ms, exchanges left out\n", shape.name,
             doc_len, num_ranks, device_name());
  fmt::print("{:8}", "");
  for (const char* name : kPartNames) fmt::print("{:>9}", name);
  fmt::print("{:>10}\n", "all");
  const BlockLayout layout = method_layout(Method::kApb, config);
  double slowest = 0;
  for (int rank = 0; rank < num_ranks; ++rank) {
    const LayerTime time = time_layer(config, layout, rank, model, repeats);
    print(fmt::format("rank {}", rank), time);
    slowest = std::max(slowest, time.total_ms);
  }
  const LayerTime all = time_layer(full, method_layout(Method::kFull, full), 0, model, repeats);
  print("full", all);
  fmt::print("full over the slowest rank: {:.2f}\n", all.total_ms / slowest);
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) {
    fmt::print(stderr, "usage: cuda_layer_time MODEL.json DOC_LEN RANKS [REPEATS]\n");
    return 2;
  }
  try {
    apb::cuda::run(argv[1], std::atoll(argv[2]), std::atoi(argv[3]),
                   argc == 5 ? std::atoi(argv[4]) : 5);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cuda_layer_time: {}\n", error.what());
    return 3;
  }
}
