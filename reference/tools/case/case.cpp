// apb case: make a case file - one layer's attention, selection and merge with all inputs - or
// check one.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "reference/case_makers/preset_case.hpp"
#include "reference/case_makers/random_case.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/unused_options.hpp"
#include "reference/core/case/row_sample.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "reference/tools/case/case_options.hpp"
#include "reference/tools/case/case_summary.hpp"
#include "reference/tools/case/model_case.hpp"

namespace apb {
namespace {

ValueType value_type(const CaseOptions& options) {
  const bool shares_bits = options.adversarial.starts_with("shared-");  // 24 or 16 others differ
  const bool is_wide = !options.text_path.empty() || shares_bits;
  return parse_value_type(options.value_type.value_or(is_wide ? "float32" : "bfloat16"));
}

Adversary adversary(const CaseOptions& options) {
  return options.adversarial.empty() ? Adversary::kNone : parse_adversary(options.adversarial);
}

/// Lengths and heads of a case that no model decides.
ApbConfig shape(const CLI::App& app, const CaseOptions& options) {
  if (!options.preset.empty()) return make_config(app, options, find_preset(options.preset).config);
  return make_config(app, options, default_lengths(adversary(options)));
}

void require_rank(const CaseOptions& options, const ApbConfig& config) {
  if (options.only_rank && (*options.only_rank < 0 || *options.only_rank >= config.num_ranks)) {
    throw BadInput("case", "rank", *options.only_rank,
                   fmt::format("between 0 and {}", config.num_ranks - 1));
  }
}

CaseFile make_case(const CLI::App& app, const CaseOptions& options) {
  const ValueType type = value_type(options);
  if (!options.text_path.empty()) {
    CaseFile case_file = model_case(app, options, type);
    require_rank(options, case_file.config);
    return case_file;
  }
  const ApbConfig config = shape(app, options);
  require_rank(options, config);
  if (!options.preset.empty()) return preset_case(config, type, *options.only_rank);
  if (options.decode && config.query_len == 0) {
    throw BadInput("case", "query-len", 0, "at least 1 with --decode");
  }
  return random_case(parse_block_method(options.method), config, type, adversary(options),
                     options.decode);
}

std::string sample_line(int rank, const RankLayout& layout, Index count, Index seed) {
  const std::vector<Index> rows = sample_rows(layout, count, static_cast<std::uint64_t>(seed));
  return fmt::format("rank {}: {}\n", rank, fmt::join(rows, " "));
}

ExitStatus check_case(const CLI::App& app, const CaseOptions& options) {
  note_idle_options(app, true, options.sample.has_value());
  check_hdf5_in_child(options.check_path);
  const CaseFile case_file = read_case(options.check_path);
  require_rank(options, case_file.config);
  if (!options.sample) {
    fmt::print("{}", summary(options.check_path, case_file));
    return ExitStatus::kRight;
  }
  for (const CaseRank& rank : case_file.ranks) {
    if (options.only_rank.value_or(rank.rank) != rank.rank) continue;
    fmt::print("{}", sample_line(rank.rank, rank.layout, *options.sample, options.seed));
  }
  return ExitStatus::kRight;
}

ExitStatus print_samples(const CLI::App& app, const CaseOptions& options) {
  const ApbConfig config = shape(app, options);
  require_rank(options, config);
  const BlockLayout layout = make_block_layout(config);
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    if (options.only_rank.value_or(rank) != rank) continue;
    fmt::print("{}", sample_line(rank, layout.ranks[static_cast<std::size_t>(rank)],
                                 *options.sample, options.seed));
  }
  return ExitStatus::kRight;
}

ExitStatus run(const CLI::App& app, const CaseOptions& options) {
  check_options(app, options);
  if (!options.check_path.empty()) return check_case(app, options);
  if (options.sample) return print_samples(app, options);
  (void)value_type(options);
  Hdf5Writer(options.out_path);  // refuse now, not at the end
  CaseFile case_file = make_case(app, options);
  if (options.only_rank) keep_only(case_file, *options.only_rank);
  if (options.with_expected) add_truth(case_file);
  write_case(options.out_path, case_file);
  fmt::print("{}", summary(options.out_path, case_file));
  if (!options.preset.empty()) fmt::print("{}\n", find_preset(options.preset).source);
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  CLI::App app(
      "Make a case file: one layer's attention, selection and merge with all their inputs, for "
      "kernels in any language.",
      "apb-case");
  apb::CaseOptions options;
  apb::add_options(app, options);
  return apb::tool_main(app, argc, argv, [&] { return apb::run(app, options); });
}
