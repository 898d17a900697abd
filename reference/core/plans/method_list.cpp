#include "reference/core/plans/method_list.hpp"

#include <string>

#include "reference/core/error.hpp"

namespace apb {
namespace {

bool any(const MethodEntry& /*unused*/) {
  return true;
}
bool has_block_form(const MethodEntry& entry) {
  return entry.block_form;
}

/// Names of the methods for which `which` holds.
std::string names_of(bool (*which)(const MethodEntry&)) {
  std::string names;
  for (const MethodEntry& entry : kMethodList) {
    if (which(entry)) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  return names;
}

Method parse_among(bool (*which)(const MethodEntry&), std::string_view name) {
  for (const MethodEntry& entry : kMethodList) {
    if (entry.name == name && which(entry)) return entry.method;
  }
  throw BadInput("config", "method", name, "one of " + names_of(which));
}

}  // namespace

std::string method_names() {
  return names_of(any);
}

std::string block_method_names() {
  return names_of(has_block_form);
}

Method parse_method(std::string_view name) {
  return parse_among(any, name);
}

Method parse_block_method(std::string_view name) {
  return parse_among(has_block_form, name);
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
