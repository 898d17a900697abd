#include "reference/core/method_list.hpp"

#include <string>

#include "reference/core/error.hpp"

namespace apb {
namespace {

bool is_block_form(const MethodEntry& entry) {
  return entry.block_form;
}

Method parse_among(bool (*which)(const MethodEntry&), std::string_view name) {
  for (const MethodEntry& entry : kMethodList) {
    if (entry.name == name && (which == nullptr || which(entry))) return entry.method;
  }
  throw BadInput("config", "method", name, "one of " + method_names(which));
}

}  // namespace

std::string method_names(bool (*which)(const MethodEntry&)) {
  std::string names;
  for (const MethodEntry& entry : kMethodList) {
    if (which != nullptr && !which(entry)) continue;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  return names;
}

Method parse_method(std::string_view name) {
  return parse_among(nullptr, name);
}

Method parse_block_method(std::string_view name) {
  return parse_among(is_block_form, name);
}

ApbConfig method_config(Method method, const ApbConfig& given) {
  return entry_of(method).config(given);
}

BlockLayout method_layout(Method method, const ApbConfig& config) {
  return entry_of(method).layout(config);
}

std::vector<Counters> method_work(Method method, const ApbConfig& config, Index element_bytes,
                                  const LayerSizes& sizes) {
  return entry_of(method).work(config, element_bytes, sizes);
}

}  // namespace apb
