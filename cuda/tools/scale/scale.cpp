// apb scale: verifies, then times over several GPUs, a rank each: exchanges by NCCL, a layer of
// prefill by seven methods, and whole prefills by Full and APB.

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/random_model.hpp"
#include "cuda/benchmarks/random_values.hpp"
#include "cuda/comm/choose_gpu.hpp"
#include "cuda/tools/bench/announcer.hpp"
#include "cuda/tools/bench/measure.hpp"
#include "cuda/tools/bench/measure_machine.hpp"
#include "cuda/tools/bench/versions.hpp"
#include "cuda/tools/scale/judge_ranks.hpp"
#include "cuda/tools/scale/measure_ranks.hpp"
#include "cuda/tools/scale/scale_report.hpp"
#include "reference/cli/known_models.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/parallel_for.hpp"
#include "reference/launch/launch.hpp"

namespace apb::cuda {
namespace {

const std::vector<std::string> kParts{"exchanges", "layers", "machine", "prefills"};

struct ScaleOptions {
  int num_ranks = 2;
  std::string model = "llama-3.1-8b";
  std::vector<Index> lengths{32768, 65536, 131072};
  std::vector<std::string> methods{kScaledMethods.begin(), kScaledMethods.end()};
  std::vector<std::string> parts = kParts;
  std::size_t smallest_bytes = std::size_t{64} << 10, largest_bytes = std::size_t{256} << 20;
  Index num_layers = 0;
  std::string json_path, csv_path;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScaleOptions, num_ranks, model, lengths, methods, parts,
                                   smallest_bytes, largest_bytes, num_layers, json_path, csv_path)

void add_options(CLI::App& app, ScaleOptions& options) {
  app.add_option("--ranks", options.num_ranks, "processes, a GPU each")
      ->check(whole_number(1, (kMaxPassingSlices + 1) / 2))
      ->capture_default_str();
  app.add_option("--model", options.model, "a name in configs/models, or a .json file")
      ->capture_default_str();
  app.add_option("--lengths", options.lengths,
                 "tokens of the document, multiples of twice the ranks: a,b,c")
      ->delimiter(',')
      ->check(whole_number(1024, Index{1} << 21))
      ->capture_default_str();
  app.add_option("--methods", options.methods, "whose layers are timed: a,b,c")
      ->delimiter(',')
      ->check(CLI::IsMember(std::vector<std::string>(kScaledMethods.begin(), kScaledMethods.end())))
      ->capture_default_str();
  app.add_option(
         "--parts", options.parts,
         "what is measured: exchanges; layers; machine (products and attention calls, for a "
         "profile); prefills")
      ->delimiter(',')
      ->check(CLI::IsMember(kParts))
      ->capture_default_str();
  app.add_option("--smallest", options.smallest_bytes, "bytes of the smallest exchange")
      ->check(whole_number(1 << 10, Index{1} << 32))
      ->capture_default_str();
  app.add_option("--largest", options.largest_bytes, "bytes of the largest exchange")
      ->check(whole_number(1 << 10, Index{1} << 32))
      ->capture_default_str();
  app.add_option("--layers", options.num_layers, "layers of a prefill; 0: as many as the model has")
      ->check(whole_number(0, 1024))
      ->capture_default_str();
  app.add_option("--json", options.json_path, "write all into this file, for apb sim calibrate");
  app.add_option("--csv", options.csv_path, "write every number into this file");
}

/// Refuses now what could not be run later.
nlohmann::json prepare(ScaleOptions options) {
  std::sort(options.lengths.begin(), options.lengths.end());
  for (const Index doc_len : options.lengths) {
    if (doc_len % (2 * Index{options.num_ranks}) != 0) {
      throw BadInput("command line", "--lengths", doc_len,
                     fmt::format("a multiple of twice the {} ranks", options.num_ranks));
    }
  }
  if (options.smallest_bytes > options.largest_bytes) {
    throw BadInput("command line", "--smallest", options.smallest_bytes,
                   fmt::format("at most --largest, {}", options.largest_bytes));
  }
  (void)find_model(options.model);
  for (const std::string& path : {options.json_path, options.csv_path}) {
    if (!path.empty()) check_writable(path);
  }
  return options;
}

std::string nccl_version() {
  int version = 0;
  ncclGetVersion(&version);
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::vector<std::string> gpus_of(const Together& together) {
  std::vector<char> name(256, '\0');
  const std::string own = device_name();
  std::copy_n(own.begin(), std::min(own.size(), name.size() - 1), name.begin());
  std::vector<std::string> all;
  for (const auto& its : together.gather(name)) all.emplace_back(its.data());
  return all;
}

/// One rank of the run.
class ScaleRank {
 public:
  ScaleRank(const RankEnvironment& process, ScaleOptions options)
      : options_(std::move(options)),
        shape_(find_model(options_.model).shape),
        together_(process.communicator) {
    set_num_threads(process.threads(together_.num_ranks()));  // of the judges
    // Multicast over NVLink switches can leave a shared machine's GPUs out of service.
    setenv("NCCL_NVLS_ENABLE", "0", 1);
    results_.rehearsed = choose_gpu(process.communicator);
    nccl_ = nccl_communicator(process.communicator);
    partners_ = std::make_unique<Partners>(*nccl_);
    results_.model = shape_.name;
    results_.versions = versions() + ", " + nccl_version();
    results_.date = today();
    results_.command = fmt::format(
        "apb scale --ranks {} --model {} --lengths {} --parts {}", options_.num_ranks,
        options_.model, fmt::join(options_.lengths, ","), fmt::join(options_.parts, ","));
    results_.gpus = gpus_of(together_);
    results_.num_ranks = together_.num_ranks();
    results_.num_nodes = (results_.num_ranks + process.ranks_on_node - 1) / process.ranks_on_node;
  }

  ExitStatus run() {
    show(heading_text(results_));
    if (measures("exchanges") && !exchanges()) return ExitStatus::kCheckFailed;
    if (measures("layers") && !layers()) return ExitStatus::kCheckFailed;
    if (measures("machine")) machine_points();
    if (measures("prefills")) prefills();
    return ExitStatus::kRight;
  }

 private:
  [[nodiscard]] bool first() const { return together_.rank() == 0; }
  [[nodiscard]] bool measures(const std::string& part) const {
    return std::ranges::count(options_.parts, part) > 0;
  }
  void say(const std::string& what) const {
    if (first()) announce_(what);
  }
  void show(const std::string& text) const {
    if (!first()) return;
    announce_.clear();
    fmt::print("{}", text);
    std::fflush(stdout);
  }
  /// What there is so far: a run that is ended leaves it.
  void write() const {
    if (!first()) return;
    if (!options_.json_path.empty()) {
      write_whole_file(options_.json_path, scale_json(results_).dump(1) + '\n');
    }
    if (!options_.csv_path.empty()) write_whole_file(options_.csv_path, scale_csv(results_));
  }
  [[nodiscard]] ApbConfig apb(Index doc_len) const {
    return paper_config(shape_, {doc_len, together_.num_ranks(), {}});
  }

  bool exchanges() {
    const ExchangeTimes mine = time_exchanges(
        *nccl_, options_.smallest_bytes, options_.largest_bytes,
        [&](bool yes) { return together_.all(yes); },
        [&](std::string_view kind) { say(fmt::format("exchanges: {}", kind)); });
    results_.has_windows = mine.has_windows;
    results_.exchanges = slowest_of(mine, together_);
    show(exchanges_text(results_));
    write();
    for (const ExchangeTime& time : results_.exchanges) {
      if (time.wrong_words == 0) continue;
      show(fmt::format("{} of {} bytes: {} words arrived WRONG\n",
                       kExchangeNames.at(static_cast<std::size_t>(time.point.kind)),
                       time.point.bytes, time.wrong_words));
      return false;
    }
    return true;
  }

  bool layers() {
    const Stream stream;
    const auto model = random_model(shape_, 1, kRetainingHidden, 1, stream.get());
    stream.synchronize();
    results_.checks = judge_ranks(options_.methods, apb(options_.lengths.front()), model,
                                  *partners_, together_, [&](const auto& what) { say(what); });
    show(fmt::format("\n{}, {} tokens: {}\n", shape_.name, options_.lengths.front(),
                     results_.checks == 0
                         ? "something is WRONG, and nothing is timed that is"
                         : fmt::format("{} checks on all ranks: right", results_.checks)));
    if (results_.checks == 0) return false;
    for (const Index doc_len : options_.lengths) {
      for (const std::string& method : options_.methods) {
        say(fmt::format("{} tokens: {}", doc_len, method));
        results_.layers.push_back(
            measure_layer(method, apb(doc_len), model, *partners_, together_));
      }
      show(layers_text(results_, doc_len));
      write();
    }
    return true;
  }

  /// On rank 0's GPU, while the others wait.
  void machine_points() {
    if (first()) {
      BenchResults points;
      measure_machine({shape_}, points, announce_);
      results_.products = points.products;
      results_.attention = points.attention;
    }
    (void)together_.all(true);
    show(fmt::format("\n{} products and {} attention calls timed on rank 0\n",
                     results_.products.size(), results_.attention.size()));
    write();
  }

  void prefills() {
    const Stream stream;
    say("random weights");
    DeviceModel<Bfloat16> model =
        random_model(shape_, options_.num_layers == 0 ? shape_.num_layers : options_.num_layers,
                     kRetainingHidden, 1, stream.get());
    model.shape.num_layers = std::ssize(model.layers);
    model.shape.eos_token_ids = {};  // an answer is as long as asked for
    const auto random = [&](Index count) {
      DeviceBuffer<Bfloat16> buffer(static_cast<std::size_t>(count));
      fill_normal(buffer.data(), count, 1, 9, stream.get());
      return buffer;
    };
    model.embedding = random(shape_.vocab_size * shape_.hidden_size);
    model.final_norm = random(shape_.hidden_size);
    stream.synchronize();
    for (const Index doc_len : options_.lengths) {
      for (const char* method : {"apb", "full"}) {
        say(fmt::format("{} tokens, {} layers: {}", doc_len, model.shape.num_layers, method));
        results_.prefills.push_back(
            measure_prefill(method, apb(doc_len), model, *partners_, together_));
        write();
      }
    }
    show(prefills_text(results_));
  }

  ScaleOptions options_;
  ModelShape shape_;
  Together together_;
  std::unique_ptr<NcclCommunicator> nccl_;
  std::unique_ptr<Partners> partners_;
  ScaleResults results_;
  Announcer announce_;
};

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  CLI::App app(
      "Verify, then time over several GPUs, a rank each: exchanges by NCCL, a layer of prefill by "
      "seven methods, whole prefills by Full and APB.",
      "apb-scale");
  apb::cuda::ScaleOptions options;
  apb::cuda::add_options(app, options);
  std::string transport;  // how launch() starts ranks: a process each
  app.add_option("--transport", transport)->group("");
  const auto work = [&] {
    return apb::launch(
        app.get_name(), apb::Transport::kMpi, options.num_ranks,
        [&] { return apb::cuda::prepare(options); },
        [](const apb::RankEnvironment& process, const nlohmann::json& job) {
          return apb::cuda::ScaleRank(process, job.get<apb::cuda::ScaleOptions>()).run();
        });
  };
  return apb::tool_main(app, argc, argv, work, apb::end_rank);
}
