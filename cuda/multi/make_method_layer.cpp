#include <algorithm>

#include "cuda/benchmarks/absent_partners.hpp"
#include "cuda/multi/all_gather_layer.hpp"
#include "cuda/multi/block_method.hpp"
#include "cuda/multi/nccl_ring.hpp"
#include "cuda/multi/tensor_parallel_layer.hpp"
#include "cuda/multi/ulysses_layer.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

/// Full on this rank's GPU alone, whatever the others do.
class FullLayer final : public MethodLayer {
 public:
  FullLayer(const ApbConfig& config, const DeviceModel<Bfloat16>& model)
      : layer_(Method::kFull, config, nobody_, model) {}
  LayerRun run(const std::function<void(cudaStream_t)>& before) override {
    return layer_.run(before);
  }
  void exchange(cudaStream_t /*stream*/) override {}
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const override { return layer_.room(); }
  [[nodiscard]] const std::vector<Index>& positions() const override { return layer_.positions(); }

 private:
  AbsentPartners nobody_{0, 1};
  BlockLayer layer_;
};

/// Tensor parallelism with its own part of the weights.
class PartAndLayer final : public MethodLayer {
 public:
  PartAndLayer(const DeviceModel<Bfloat16>& whole, Index doc_len, Partners& partners)
      : part_(tensor_parallel_part(whole, partners.rank(), partners.num_ranks(), stream_.get())),
        layer_(part_, doc_len, partners) {
    stream_.synchronize();
  }
  LayerRun run(const std::function<void(cudaStream_t)>& before) override {
    return layer_.run(before);
  }
  void exchange(cudaStream_t stream) override { layer_.exchange(stream); }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const override { return layer_.room(); }
  [[nodiscard]] const std::vector<Index>& positions() const override { return layer_.positions(); }

 private:
  Stream stream_;
  DeviceModel<Bfloat16> part_;
  TensorParallelLayer layer_;
};

Method method_named(const std::string& name) {
  const auto* found = std::ranges::find(kMethodList, name, &MethodEntry::name);
  if (found == kMethodList.end()) throw BadInput("layer", "method", name, "a method's name");
  return found->method;
}

}  // namespace

ApbConfig config_of_method(const std::string& method, const ApbConfig& apb) {
  ApbConfig config = apb;
  if (method == "full" || method == "tensor_parallel") {
    config.num_ranks = 1;
    return method_config(Method::kFull, config);
  }
  if (method == "star") config.anchor_len = apb.resolved_block_lens().front();
  return method_config(method_named(method), config);
}

std::unique_ptr<MethodLayer> make_method_layer(const std::string& method, const ApbConfig& apb,
                                               const DeviceModel<Bfloat16>& model,
                                               Partners& partners) {
  const ApbConfig config = config_of_method(method, apb);
  if (method == "full") return std::make_unique<FullLayer>(config, model);
  if (method == "tensor_parallel") {
    return std::make_unique<PartAndLayer>(model, config.doc_len, partners);
  }
  if (method == "zigzag_ring") {
    return std::make_unique<NcclRingLayer>(config.doc_len, model, partners);
  }
  if (method == "star" || method == "apb") {
    return std::make_unique<BlockMethod>(method_named(method), config, model, partners);
  }
  const BlockLayout layouts = method_layout(method_named(method), config);
  const RankLayout& own = layouts.ranks[static_cast<std::size_t>(partners.rank())];
  if (method == "all_gather") return std::make_unique<AllGatherLayer>(model, own, partners);
  if (method == "ulysses") return std::make_unique<UlyssesLayer>(model, own, partners);
  throw BadInput("layer", "method", method,
                 "full, zigzag_ring, all_gather, ulysses, tensor_parallel, star or apb");
}

}  // namespace apb::cuda
