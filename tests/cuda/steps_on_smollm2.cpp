// Each step of SmolLM2's layers on the GPU, on activations of a real text, within the error budget.
//
// Prefill by Full on one rank, bf16 and fp16; for some layers, what each step read and wrote is
// copied to the host as it was there and judged. A line a step: the share of the budget that is
// used. Exit 0 if no share is above 1, else 1; 77 without a GPU or the model's weights
// ($APB_WEIGHTS).

#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "cuda/comm/loopback.hpp"
#include "cuda/prefill.hpp"
#include "reference/model_io/model_source.hpp"
#include "reference/verify/truth.hpp"
#include "tests/cuda/host_rows.hpp"
#include "tests/cuda/layer_record.hpp"

namespace apb {
namespace {

const std::set<Index> kJudgedLayers{0, 1, 14, 29};

const std::string kText =
    "The lighthouse keeper had counted ships for forty years, and in all that time no ship had "
    "ever counted him. On the first morning of November 1911 he wrote in his book: wind "
    "north-west, "
    "sea rough, 17 vessels. Then he put down the pen, because there was a knock at the door. "
    "Nobody "
    "knocks at a lighthouse. It stands on a rock, four miles from the coast, and whoever comes "
    "must "
    "come by boat and be seen. He had seen no boat. He opened the door and found a girl of about "
    "ten, dry as paper, who asked him whether he would like to buy a map. \"A map of what?\" said "
    "the keeper. \"Of where you have been,\" she said. He laughed, for he had been nowhere. But "
    "when she unrolled it on his table he saw that it was quite full: every storm was there, with "
    "its date, and every lamp that he had lit, and a thin red line that went up and down the same "
    "stairs, twice a day, until it was as broad as a road. \"How much is it?\" he asked. She named "
    "the price. It was not money.";

/// The longest token that the text goes on with, again and again: not the tokenizer's own way of
/// cutting words, but words all the same, and no Python is needed.
std::vector<int> tokens_of(const std::string& text, const Tokenizer& tokenizer, Index vocab_size) {
  std::map<std::string, int> ids;
  for (int id = 0; id < static_cast<int>(vocab_size); ++id) ids.emplace(tokenizer.decode({id}), id);
  std::vector<int> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t length = std::min<std::size_t>(32, text.size() - begin);
    while (length > 1 && !ids.contains(text.substr(begin, length))) --length;
    tokens.push_back(ids.at(text.substr(begin, length)));
    begin += length;
  }
  return tokens;
}

/// Copies what a layer's steps leave, as each of them is done.
template <class T>
class Recorder {
 public:
  Recorder(cudaStream_t stream, const cuda::LayerRoom<T>& room) : stream_(stream), room_(room) {}

  void begin() {
    record_ = {};
    record_.hidden = host(room_.hidden_rows());
  }

  void done(cuda::LayerPart part) {
    switch (part) {
      case cuda::LayerPart::kNorms:
        (record_.qkv.size() == 0 ? record_.attention_normed : record_.ffn_normed) =
            host(room_.normed_rows());
        return;
      case cuda::LayerPart::kQkv:
        record_.qkv = host(room_.qkv_rows());
        return;
      case cuda::LayerPart::kRope:
        record_.rotated = host(room_.qkv_rows());
        return;
      case cuda::LayerPart::kOutput:
        record_.hidden_between = host(room_.hidden_rows());
        record_.attention_out = host(cuda::DeviceRows<T>::dense(
            room_.attention_out.data(), room_.rows, room_.num_q_heads * room_.head_dim));
        record_.lse =
            host(cuda::DeviceRows<float>::dense(room_.lse.data(), room_.rows, room_.num_q_heads));
        return;
      case cuda::LayerPart::kFeedForward:  // gate and up, then down
        if (record_.gate_up.size() == 0) {
          record_.gate_up = host(gate_up());
        } else {
          record_.hidden_after = host(room_.hidden_rows());
        }
        return;
      case cuda::LayerPart::kActivation:  // in the gate's place
        record_.activated = host(gate_up()).leftCols(room_.intermediate_size);
        return;
      default:
        return;
    }
  }

  [[nodiscard]] const LayerRecord& record() const { return record_; }

 private:
  template <class Element>
  [[nodiscard]] Matrix<double> host(const cuda::DeviceRows<Element>& rows) const {
    return host_rows(rows, stream_);
  }

  [[nodiscard]] cuda::DeviceRows<T> gate_up() const {
    return cuda::DeviceRows<T>::dense(room_.gate_up.data(), room_.rows,
                                      2 * room_.intermediate_size);
  }

  cudaStream_t stream_;
  const cuda::LayerRoom<T>& room_;
  LayerRecord record_;
};

/// Prints the verdicts. \returns how many steps are wrong
int report(const std::string& layer, const std::vector<StepVerdict>& verdicts) {
  int wrong = 0;
  for (const auto& [step, share] : verdicts) {
    const bool right = share <= 1;
    std::printf("%s  %-26s %.3g of the budget%s\n", layer.c_str(), step.c_str(), share,
                right ? "" : "  WRONG");
    wrong += right ? 0 : 1;
  }
  return wrong;
}

/// \returns how many steps are wrong, and how many wrong results (the next row's) are let pass
template <class T>
int judge_model(const ModelWeights<float>& weights, const std::vector<int>& tokens,
                ValueType type) {
  ApbConfig given;
  given.doc_len = std::ssize(tokens);
  set_model_shape(given, weights.shape);
  const ApbConfig config = method_config(Method::kFull, given);
  const BlockLayout layout = method_layout(Method::kFull, config);
  int wrong = 0;
  cuda::run_loopback_ranks(1, [&](cuda::DeviceCommunicator& communicator) {
    cuda::GpuRank rank{config, layout, communicator};
    const cudaStream_t stream = rank.stream.get();
    const auto model = cuda::to_device<T>(weights, stream);
    const cuda::LayerRoom<T> room(weights.shape, count_up(std::ssize(tokens)), stream);
    const cuda::PassingRoom<T> passing(rank, 0);
    Recorder<T> recorder(stream, room);
    cuda::embed<T>(model, tokens, room, stream);
    for (Index layer = 0; layer < weights.shape.num_layers; ++layer) {
      const bool judged = kJudgedLayers.contains(layer);
      if (judged) recorder.begin();
      rank.on_part = judged ? [&](cuda::LayerPart part) { recorder.done(part); } : cuda::OnPart();
      cuda::prefill_layer(rank, model, layer, room, passing, cuda::kept_of_layer(rank));
      if (!judged) continue;
      const std::string name(to_string(type));
      wrong += report(name + ", layer " + std::to_string(layer),
                      judge_layer(recorder.record(), weights, layer, type));
      for (const auto& [step, share] : judge_layer(recorder.record(), weights, layer, type, 1)) {
        if (share > 1) continue;
        std::printf("the judge of %s lets the next row's results pass\n", step.c_str());
        ++wrong;
      }
    }
    rank.stream.synchronize();
  });
  return wrong;
}

int run() {
  const ModelSource source{ModelSource::default_path()};
  if (!std::filesystem::exists(source.weights_path)) {
    std::printf("SKIPPED: no model at %s (APB_WEIGHTS)\n", source.weights_path.c_str());
    return 77;
  }
  const auto weights = source.weights<float>();
  const auto tokens = tokens_of(kText, source.tokenizer(), weights.shape.vocab_size);
  std::printf("%s, %zu tokens\n", weights.shape.name.c_str(), tokens.size());
  const int wrong = judge_model<cuda::Bfloat16>(weights, tokens, ValueType::kBfloat16) +
                    judge_model<cuda::Float16>(weights, tokens, ValueType::kFloat16);
  std::printf("%d steps wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace apb

int main() {
  try {
    return apb::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
