#pragma once
/// \file
/// The command line of `apb case`.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reference/methods/method.hpp"
#include "reference/model_io/model_source.hpp"

namespace apb {

struct CaseOptions {
  std::string out_path;

  // What the case is made from: one of these, else ordinary random numbers.
  bool random = false;
  std::string adversarial;
  std::string preset;
  std::string text_path;
  std::string check_path;  ///< no case is made: one is read

  // The model run, with --text.
  bool bos = true;  ///< the text begins as the tokenizer has it
  std::string query;
  Index layer = 0;
  ModelSource model{.weights_path = ModelSource::default_path()};

  // Lengths; what is not given follows the source.
  std::optional<Index> doc_len;
  std::optional<int> num_ranks;
  std::vector<Index> block_lens;
  std::optional<Index> anchor_len;
  std::optional<Index> query_len;
  std::optional<Index> embedded_query_len;
  std::optional<Index> num_kept;
  std::optional<Index> num_q_heads;
  std::optional<Index> num_kv_heads;
  std::optional<Index> head_dim;

  std::string method = "apb";
  std::string convention = "paper";
  Index query_insert_at = 0;
  std::string compressor = "query_aware";
  std::optional<Index> pool_kernel;
  Index seed = 0;
  std::optional<std::string> value_type;

  std::optional<int> only_rank;
  bool with_expected = false;
  bool decode = false;
  std::optional<Index> sample;
};

void add_options(CLI::App& app, CaseOptions& options);

/// \param app parsed: which options were given
/// \throws BadInput if options do not go together
void check_options(const CLI::App& app, const CaseOptions& options);

/// The configuration that the method runs, validated. Says on stderr which options it does not use.
/// \param app      parsed
/// \param defaults lengths and heads where no option gives them
[[nodiscard]] ApbConfig make_config(const CLI::App& app, const CaseOptions& options,
                                    const ApbConfig& defaults);

}  // namespace apb
