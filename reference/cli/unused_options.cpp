#include "reference/cli/unused_options.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "reference/cli/launcher_environment.hpp"
#include "reference/core/standard_error.hpp"

namespace apb {

void note_unused_options(const CLI::App& app, Method method, const ApbConfig& asked,
                         const ApbConfig& used) {
  if (!speaks_for_run()) return;
  std::vector<std::string> unused;
  const auto check = [&](const char* name, bool replaced) {
    const CLI::Option* option = app.get_option_no_throw(name);
    if (replaced && option != nullptr && option->count() > 0) unused.emplace_back(name);
  };
  check("--anchor", used.anchor_len != asked.anchor_len);
  check("--convention", used.anchor_convention != asked.anchor_convention);
  check("--query-insert-at", used.query_insert_at != asked.query_insert_at);
  check("--embed-query", used.embedded_query_len != asked.embedded_query_len);
  check("--embed-first-turn", used.embedded_query_len != asked.embedded_query_len);
  check("--embedded-query", used.embedded_query_len != asked.embedded_query_len);
  check("--compressor", used.compressor != asked.compressor);
  check("--keep", used.num_kept != asked.num_kept);
  check("--block-lens", used.block_lens != asked.block_lens);
  check("--ape-temperature", used.ape_temperature != asked.ape_temperature);
  check("--ape-scale", used.ape_scale != asked.ape_scale);
  if (unused.empty()) return;
  print_to_stderr(fmt::format("{}: note: method {} does not use {}\n", app.get_name(),
                              to_string(method), fmt::join(unused, ", ")));
}

bool keeps_entries(Method method, const ApbConfig& used) {
  const BlockLayout layout = method_layout(method, used);
  return std::ranges::any_of(layout.ranks,
                             [](const RankLayout& rank) { return rank.num_kept > 0; });
}

void note_idle_options(const CLI::App& app, bool keeps, bool seed_is_used) {
  if (!speaks_for_run()) return;
  const auto note = [&](const char* name, const char* why) {
    if (app.count(name) == 0) return;
    print_to_stderr(fmt::format("{}: note: {} changes nothing: {}\n", app.get_name(), name, why));
  };
  if (!keeps) note("--pool", "nothing is selected");
  if (!seed_is_used) note("--seed", "no random number is drawn");
}

}  // namespace apb
