#pragma once
/// \file
/// The options that all commands of `apb sim` share: a question about one or many configurations.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "sim/machine/machine_model.hpp"
#include "sim/work/job.hpp"

namespace apb::sim {

/// As typed. Lists make a grid.
struct Question {
  std::string model = "llama-3.1-8b";
  std::string machine = "H100";
  std::string method = "apb";
  std::vector<std::string> tokens{"128K"};
  std::vector<Index> ranks{8};
  std::vector<Index> block_lens;
  std::vector<std::string> anchor{"auto"};
  std::vector<std::string> keep{"auto"};
  Index query = 64;
  std::string compressor = "auto";  ///< as the method's authors choose it
  Index batch = 1;
  Index tensor_parallel = 1;
  Index pipeline_stages = 1;
  Index pipeline_chunks = 1;
  std::string backend;
  double overlap = -1;  ///< below 0: as the method is usually run
  bool captured = false;
  bool cache_replicated = false;
  // What of the machine is asked to be otherwise; 0: as in its profile.
  double nic_gbytes_per_s = 0;
  Index nics_per_node = -1;
  Index gpus_per_node = 0;
  bool work = false;  ///< predict: counts too
  bool json = false;
  bool csv = false;
  std::string html;
  std::string typed;  ///< the options given, as they can be typed again
};

enum class Lists { kOne, kMany, kSearched };

/// Adds the options that say what is asked of which machine.
/// \param lists whether lengths, ranks, anchor and kept entries may be lists, or (all but the
///              document's length) are searched and cannot be given
void add_question_options(CLI::App& command, Question& question, Lists lists);
void add_output_options(CLI::App& command, Question& question, bool csv, bool html);

/// The options that were given to a command, for the page that says how it was made.
[[nodiscard]] std::string options_as_typed(const CLI::App& command);

/// "131072", "128K", "1M" (K = 1024). \throws BadInput
[[nodiscard]] Index parse_tokens(const std::string& word, std::string_view option);
[[nodiscard]] std::vector<Index> parse_token_list(const std::vector<std::string>& words,
                                                  std::string_view option);

/// The machine, with what was asked to be otherwise; audit warnings go to stderr.
/// \throws BadInput too for an attention back end that it does not have
[[nodiscard]] MachineModel machine_of(const Question& question);
[[nodiscard]] ModelSizes model_of(const std::string& name);

/// One configuration. \param anchor,keep "auto": set_usual_lengths
[[nodiscard]] Job job_of(const Question& question, const ModelSizes& model, SimMethod method,
                         Index doc_len, Index ranks, const std::string& anchor = "auto",
                         const std::string& keep = "auto");
/// The only one, of a question without lists.
/// \throws BadInput too for what is given and the method does not use
[[nodiscard]] Job job_of(const Question& question);

}  // namespace apb::sim
