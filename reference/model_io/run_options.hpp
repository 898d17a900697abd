#pragma once
/// \file
/// The command line of a model run: `apb run`, and `apb cuda` with a model.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reference/model_io/model_source.hpp"

namespace apb {

/// The precisions that a command offers, the default first.
using Precisions = std::vector<std::string>;

struct RunOptions {
  std::string text_path;
  bool bos = true;  ///< the text begins as the tokenizer has it
  std::string query;
  std::string expected;
  ModelSource model{.weights_path = ModelSource::default_path()};
  std::string precision;  ///< one of `precisions`
  std::string method = "apb";
  int num_ranks = 4;
  std::string transport = "local";
  std::vector<Index> block_lens;
  std::optional<Index> anchor_len;
  std::string convention = "paper";
  Index query_insert_at = 0;
  bool embed_query = true;
  bool embed_first_turn = false;
  std::string compressor = "query_aware";
  std::optional<Index> num_kept;
  Index pool_kernel = 5;
  std::uint64_t seed = 0;
  double ape_temperature = 0.9;  // its authors' defaults
  double ape_scale = 0.9;
  Index max_answer_tokens = 32;
  bool per_token_nll = false;
  bool json = false;
  std::string trace_path;
};

void add_options(CLI::App& app, RunOptions& options, const Precisions& precisions);

}  // namespace apb
