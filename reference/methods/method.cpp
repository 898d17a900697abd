#include "reference/methods/method.hpp"

#include <stdexcept>
#include <string>

#include "reference/core/error.hpp"
#include "reference/methods/apb.hpp"
#include "reference/methods/full.hpp"
#include "reference/methods/star.hpp"

namespace apb {

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kFull:
      return "full";
    case Method::kStar:
      return "star";
    case Method::kApb:
      return "apb";
  }
  return "?";
}

Method parse_method(std::string_view name) {
  std::string allowed;
  for (const Method method : kMethods) {
    if (to_string(method) == name) return method;
    allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(method));
  }
  throw BadInput("config", "method", name, "one of " + allowed);
}

ApbConfig method_config(Method method, const ApbConfig& config) {
  switch (method) {
    case Method::kFull:
      return full_config(config);
    case Method::kStar:
      return star_config(config);
    case Method::kApb:
      return config;
  }
  throw std::logic_error("method_config: unknown method");
}

template <class Scalar>
LayerOutput<Scalar> prefill_attention(Method method, const RankContext& context,
                                      const LayerInput<Scalar>& input, Counters& counters) {
  switch (method) {
    case Method::kFull:
      return full_attention(context, input, counters);
    case Method::kStar:
      return star_attention(context, input, counters);
    case Method::kApb:
      return apb_attention(context, input, counters);
  }
  throw std::logic_error("prefill_attention: unknown method");
}

template LayerOutput<float> prefill_attention(Method, const RankContext&, const LayerInput<float>&,
                                              Counters&);
template LayerOutput<double> prefill_attention(Method, const RankContext&,
                                               const LayerInput<double>&, Counters&);

}  // namespace apb
