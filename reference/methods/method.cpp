#include "reference/methods/method.hpp"

#include <stdexcept>
#include <string>

#include "reference/attention/merge_over_ranks.hpp"
#include "reference/core/error.hpp"
#include "reference/methods/apb.hpp"
#include "reference/methods/ape.hpp"
#include "reference/methods/full.hpp"
#include "reference/methods/ring.hpp"
#include "reference/methods/spava.hpp"
#include "reference/methods/spava_layout.hpp"
#include "reference/methods/star.hpp"
#include "reference/methods/ulysses.hpp"
#include "reference/methods/zigzag_ring.hpp"

namespace apb {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kFull:
      return "full";
    case Method::kRing:
      return "ring";
    case Method::kZigzagRing:
      return "zigzag_ring";
    case Method::kUlysses:
      return "ulysses";
    case Method::kStar:
      return "star";
    case Method::kApe:
      return "ape";
    case Method::kApb:
      return "apb";
    case Method::kSpava:
      return "spava";
  }
  return "?";
}

namespace {

Method parse_among(std::span<const Method> methods, std::string_view name) {
  std::string allowed;
  for (const Method method : methods) {
    if (to_string(method) == name) return method;
    allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(method));
  }
  throw BadInput("config", "method", name, "one of " + allowed);
}

}  // namespace

Method parse_method(std::string_view name) {
  return parse_among(kMethods, name);
}

Method parse_block_method(std::string_view name) {
  return parse_among(kBlockMethods, name);
}

ApbConfig method_config(Method method, const ApbConfig& given) {
  ApbConfig config = given;
  if (method != Method::kApe) config.ape_temperature = config.ape_scale = 1.0;
  switch (method) {
    case Method::kFull:
      return full_config(config);
    case Method::kRing:
    case Method::kUlysses:
      return exact_config(config);
    case Method::kZigzagRing:
      return zigzag_config(config);
    case Method::kStar:
      return star_config(config);
    case Method::kApe:
      return ape_config(config);
    case Method::kApb:
      return config;
    case Method::kSpava:
      return spava_config(config);
  }
  throw std::logic_error("method_config: unknown method");
}

BlockLayout method_layout(Method method, const ApbConfig& config) {
  switch (method) {
    case Method::kZigzagRing:
      return zigzag_layout(config);
    case Method::kApe:
      return ape_layout(config);
    case Method::kSpava:
      return spava_layout(config);
    default:
      return make_block_layout(config);
  }
}

std::vector<Counters> method_work(Method method, const ApbConfig& config, Index element_bytes,
                                  const LayerSizes& sizes) {
  switch (method) {
    case Method::kRing:
      return ring_work(config, element_bytes, sizes);
    case Method::kZigzagRing:
      return zigzag_ring_work(config, element_bytes, sizes);
    case Method::kUlysses:
      return ulysses_work(config, element_bytes, sizes);
    case Method::kSpava:
      return spava_work(config, element_bytes, sizes);
    default:
      return layer_work(config, element_bytes, sizes);
  }
}

template <class Scalar>
LayerOutput<Scalar> prefill_attention(Method method, const RankContext& context,
                                      const LayerInput<Scalar>& input, Counters& counters) {
  switch (method) {
    case Method::kFull:
      return full_attention(context, input, counters);
    case Method::kRing:
      return ring_attention(context, input, counters);
    case Method::kZigzagRing:
      return zigzag_ring_attention(context, input, counters);
    case Method::kUlysses:
      return ulysses_attention(context, input, counters);
    case Method::kStar:
      return star_attention(context, input, counters);
    case Method::kApe:
      return ape_attention(context, input, counters);
    case Method::kApb:
      return apb_attention(context, input, counters);
    case Method::kSpava:
      return spava_attention(context, input, counters);
  }
  throw std::logic_error("prefill_attention: unknown method");
}

template <class Scalar>
AttentionPartial<Scalar> query_attention(Method method, const RankContext& context,
                                         const QueryInput<Scalar>& input, Counters& counters) {
  if (method == Method::kApe) return ape_query_attention(context, input, counters);
  std::vector<KeySegment<Scalar>> keys{{input.cached_key, input.cached_value, Visibility::kAll}};
  if (context.communicator.rank() == context.layout.appending_rank) {
    keys.push_back({input.key, input.value, Visibility::kCausal});
  }
  const auto mine = attend<Scalar>(input.query, keys, context.config.softmax_scale, counters);
  return merge_over_ranks(mine, context.communicator);
}

template AttentionPartial<float> query_attention(Method, const RankContext&,
                                                 const QueryInput<float>&, Counters&);
template AttentionPartial<double> query_attention(Method, const RankContext&,
                                                  const QueryInput<double>&, Counters&);
template LayerOutput<float> prefill_attention(Method, const RankContext&, const LayerInput<float>&,
                                              Counters&);
template LayerOutput<double> prefill_attention(Method, const RankContext&,
                                               const LayerInput<double>&, Counters&);

}  // namespace apb
