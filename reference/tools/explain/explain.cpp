// apb explain: any configuration drawn in the terminal, without a model.

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <optional>

#include "reference/cli/file_options.hpp"
#include "reference/cli/known_models.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/unused_options.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/model/prefill.hpp"
#include "reference/tools/explain/compare_methods.hpp"
#include "reference/tools/explain/draw_costs.hpp"
#include "reference/tools/explain/draw_mask.hpp"
#include "reference/tools/explain/draw_passing.hpp"
#include "reference/tools/explain/drawing.hpp"
#include "reference/tools/explain/mask_svg.hpp"

namespace apb {
namespace {

/// Every token is scored, so that time and memory grow with the document.
constexpr Index kMaxTokens = Index{1} << 21;
/// Pooling looks at every neighbour of every token.
constexpr Index kMaxPool = 255;

struct ExplainOptions {
  std::string method = "apb";
  std::optional<Index> doc_len;
  std::optional<int> num_ranks;
  std::vector<Index> block_lens;
  std::optional<Index> anchor_len;
  Index query_rows = 2;
  std::string convention = "paper";
  Index query_insert_at = 0;
  std::string compressor = "random";
  std::optional<Index> num_kept;
  Index pool_kernel = 3;
  Index seed = 0;
  std::string model;  ///< empty: heads as given below
  Index num_q_heads = 1;
  Index num_kv_heads = 1;
  Index head_dim = 64;
  Index element_bytes = 2;
  std::optional<int> rank;
  bool compare = false;
  std::string svg_path;
};

void add_options(CLI::App& app, ExplainOptions& options) {
  app.add_option("--method", options.method, "one of " + block_method_names())
      ->capture_default_str();
  app.add_option("--tokens", options.doc_len, "document length (default: 16)")
      ->check(CLI::Range(Index{0}, kMaxTokens));
  app.add_option("--ranks", options.num_ranks, "number of ranks (default: 4)");
  app.add_option("--block-lens", options.block_lens, "tokens of each rank, a,b,c (default: equal)")
      ->check(CLI::Range(Index{0}, kMaxTokens))
      ->delimiter(',');
  app.add_option("--anchor", options.anchor_len,
                 "anchor length (default: a quarter of rank 0's block, at least 2)");
  app.add_option("--query", options.query_rows, "query rows in every anchor")
      ->capture_default_str();
  app.add_option("--convention", options.convention, "where the query sits: paper or official")
      ->capture_default_str();
  app.add_option("--query-insert-at", options.query_insert_at,
                 "official: anchor tokens before the query")
      ->capture_default_str();
  app.add_option("--compressor", options.compressor, "query_aware, random, recent or none")
      ->capture_default_str();
  app.add_option(
      "--keep", options.num_kept,
      "tokens that each rank keeps and passes (default: an eighth of a block, at least 2)");
  app.add_option("--pool", options.pool_kernel, "width of the max-pool over scores, odd")
      ->check(CLI::Range(Index{1}, kMaxPool))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the scores")
      ->check(whole_number(0, kMaxSeed))
      ->capture_default_str();
  auto* model = reads_files(app.add_option(
      "--model", options.model, "heads of a known model (configs/models), or of a .json file"));
  app.add_option("--q-heads", options.num_q_heads, "query heads")
      ->excludes(model)
      ->capture_default_str();
  app.add_option("--kv-heads", options.num_kv_heads, "KV heads")
      ->excludes(model)
      ->capture_default_str();
  app.add_option("--head-dim", options.head_dim, "elements of a head")
      ->excludes(model)
      ->capture_default_str();
  app.add_option("--element-bytes", options.element_bytes, "size of an element that is sent")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_option("--rank", options.rank,
                 "whose mask is drawn (default: the last that owns tokens)");
  app.add_flag("--compare", options.compare, "also compare all methods");
  writes_file(
      app.add_option("--svg", options.svg_path, "also draw the mask as a picture into this file"));
}

/// Lengths that were not given follow the paper's proportions, with something to see in small ones.
ApbConfig make_config(const ExplainOptions& options) {
  ApbConfig config;
  const bool lens_given = !options.block_lens.empty();
  const Index sum = std::accumulate(options.block_lens.begin(), options.block_lens.end(), Index{0});
  if (sum > kMaxTokens) {
    throw BadInput("command line", "--block-lens", fmt::format("{} tokens", sum),
                   fmt::format("at most {} in all", kMaxTokens));
  }
  config.doc_len = options.doc_len.value_or(lens_given ? sum : 16);
  config.num_ranks =
      options.num_ranks.value_or(lens_given ? static_cast<int>(options.block_lens.size()) : 4);
  config.block_lens = options.block_lens;
  config.validate();  // before the block lengths are used below
  const Index block_len = config.resolved_block_lens().front();

  config.anchor_len =
      options.anchor_len.value_or(std::min(std::max(block_len / 4, Index{2}), block_len));
  config.query_len = config.embedded_query_len = options.query_rows;
  config.anchor_convention = parse_anchor_convention(options.convention);
  config.query_insert_at = options.query_insert_at;
  config.compressor = parse_compressor(options.compressor);
  if (config.compressor == Compressor::kRetainingHead) {
    throw BadInput("config", "compressor", options.compressor,
                   "one of none, query_aware, random, recent (its scores need a model: apb run)");
  }
  const bool keeps = config.compressor != Compressor::kNone;
  config.num_kept = options.num_kept.value_or(keeps ? std::max(block_len / 8, Index{2}) : 0);
  config.pool_kernel = options.pool_kernel;
  config.seed = static_cast<std::uint64_t>(options.seed);
  config.num_q_heads = options.num_q_heads;
  config.num_kv_heads = options.num_kv_heads;
  config.head_dim = options.head_dim;
  if (!options.model.empty()) set_model_shape(config, find_model(options.model).shape);
  return config;
}

bool colour_wanted() {
  return isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
}

ExitStatus explain(const CLI::App& app, const ExplainOptions& options) {
  const Method method = parse_method(options.method);
  const Example example = make_example(method, make_config(options), options.rank);
  const bool keeps = keeps_entries(method, example.config);
  note_idle_options(app, keeps, keeps && example.config.compressor != Compressor::kRecent);
  const Ink ink(colour_wanted());
  const std::string text =
      draw_title(example, ink) + draw_ownership(example, ink) + draw_rows(example, ink) +
      draw_passing(example, ink) + draw_mask(example, ink) +
      draw_costs(example, options.element_bytes, ink) +
      (options.compare ? draw_methods(example, options.element_bytes, ink) : "") +
      draw_outlook(ink);
  if (!options.svg_path.empty()) write_whole_file(options.svg_path, mask_svg(example));
  fmt::print("{}", without_trailing_spaces(text));
  if (std::fflush(stdout) != 0) throw CannotRun("standard output: cannot be written");
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  apb::ExplainOptions options;
  CLI::App app(
      "Draws how a document is prefilled over ranks: who owns, keeps, passes and sees what.",
      "apb-explain");
  apb::add_options(app, options);
  return apb::tool_main(app, argc, argv, [&] { return apb::explain(app, options); });
}
