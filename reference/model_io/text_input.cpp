#include "reference/model_io/text_input.hpp"

#include <iostream>

#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

std::string origin(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

std::string read_at_most(const std::string& path, std::size_t most_bytes) {
  if (path != "-") return read_whole_file(path, most_bytes);
  if (const auto process = launched_process()) {
    throw BadInput(
        fmt::format("--text -: standard input reaches one process of an MPI run only ({} is "
                    "set): name a file",
                    process->variable));
  }
  return read_stream(std::cin, most_bytes);
}

[[noreturn]] void refuse_length(const std::string& path, const std::string& found,
                                const ModelShape& model) {
  throw BadInput(fmt::format("{}: {}: must be at most {} tokens, {} times what {} was trained for",
                             origin(path), found, kMostContexts * model.context_len, kMostContexts,
                             model.name));
}

}  // namespace

std::string read_text(const std::string& path, const ModelShape& model,
                      const Tokenizer& tokenizer) {
  const std::size_t most_bytes =
      static_cast<std::size_t>(kMostContexts * model.context_len) * tokenizer.longest_token_bytes();
  std::string text = read_at_most(path, most_bytes);
  if (text.size() > most_bytes) {
    refuse_length(path,
                  fmt::format("more than {} bytes, in tokens of at most {}", most_bytes,
                              tokenizer.longest_token_bytes()),
                  model);
  }
  tokenizer.require_text(origin(path), text);
  return text;
}

void require_text_length(const std::string& path, Index num_tokens, const ModelShape& model) {
  if (num_tokens > kMostContexts * model.context_len) {
    refuse_length(path, fmt::format("{} tokens", num_tokens), model);
  }
}

}  // namespace apb
