#include "reference/model_io/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/subprocess.hpp"
#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/model_io/utf8.hpp"

namespace apb {
namespace {

/// `./apb` says where its virtual environment is; without it, whatever python3 is on PATH.
std::string python() {
  const char* path = std::getenv("APB_PYTHON");
  return path == nullptr ? "python3" : path;
}

EncodedText encode_bytes(const std::string& text) {
  EncodedText encoded;
  for (const char byte : text) {
    const Index begin = std::ssize(encoded.ids);
    encoded.ids.push_back(static_cast<unsigned char>(byte));
    encoded.offsets.emplace_back(begin, begin + 1);
  }
  return encoded;
}

}  // namespace

std::pair<Index, Index> EncodedText::tokens_of_bytes(Index begin, Index end) const {
  Index first = 0;
  while (first < std::ssize(offsets) && offsets[static_cast<std::size_t>(first)].second <= begin) {
    ++first;
  }
  Index last = first;
  while (last < std::ssize(offsets) && offsets[static_cast<std::size_t>(last)].first < end) ++last;
  return {first, last};
}

EncodedText beginning(EncodedText text) {
  text.ids.insert(text.ids.begin(), text.before.begin(), text.before.end());
  text.offsets.insert(text.offsets.begin(), text.before.size(), {0, 0});
  text.before.clear();
  return text;
}

Tokenizer Tokenizer::of_bytes() {
  Tokenizer tokenizer;
  for (int byte = 0; byte < 256; ++byte) {
    tokenizer.token_bytes_.emplace_back(1, static_cast<char>(byte));
  }
  return tokenizer;
}

Tokenizer Tokenizer::of_weights_file(const std::string& path) {
  const Hdf5Reader file(path);
  const Index vocab_size = file.int_attribute("vocab_size");
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(vocab_size + 1));
  file.require_stored("/tokenizer/token_offsets", std::array{vocab_size + 1});
  file.read<std::int64_t>("/tokenizer/token_offsets", std::array{vocab_size + 1}, offsets);
  const std::vector<Index> shape = file.shape("/tokenizer/token_bytes");
  const Index total = shape.size() == 1 ? shape[0] : 0;
  file.require_stored("/tokenizer/token_bytes", std::array{total});
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(total));
  file.read<std::uint8_t>("/tokenizer/token_bytes", std::array{total}, bytes);

  Tokenizer tokenizer;
  tokenizer.weights_path_ = path;
  for (std::size_t id = 0; id + 1 < offsets.size(); ++id) {
    if (offsets[id] < 0 || offsets[id] > offsets[id + 1] || offsets[id + 1] > total) {
      throw BadInput(path, fmt::format("/tokenizer/token_offsets[{}]", id), offsets[id],
                     fmt::format("ascending, between 0 and {}", total));
    }
    tokenizer.token_bytes_.emplace_back(bytes.begin() + offsets[id],
                                        bytes.begin() + offsets[id + 1]);
  }
  return tokenizer;
}

void Tokenizer::require_text(const std::string& origin, const std::string& text) const {
  if (weights_path_.empty()) return;
  if (const auto at = first_byte_not_utf8(text)) {
    throw BadInput(origin, fmt::format("byte {}", *at),
                   fmt::format("{:#04x}", static_cast<unsigned char>(text[*at])), "UTF-8 text");
  }
}

std::vector<EncodedText> Tokenizer::encode(const std::vector<std::string>& texts) const {
  std::vector<EncodedText> encoded;
  if (weights_path_.empty()) {
    for (const std::string& text : texts) encoded.push_back(encode_bytes(text));
    return encoded;
  }
  const std::vector<std::string> command{python(), own_file("reference/tools/import/import.py"),
                                         "encode", "--weights", weights_path_};
  for (const std::string& text : texts) require_text("text", text);
  const SubprocessResult result = run_subprocess(command, nlohmann::json(texts).dump());
  if (result.exit_code == 2) throw BadInput("");  // import.py has said why
  if (result.exit_code != 0) {
    throw CannotRun(
        fmt::format("{} import.py encode failed (run through ./apb, or set APB_PYTHON "
                    "to a Python with reference/tools/import/requirements.txt installed)",
                    python()));
  }
  for (const auto& text : nlohmann::json::parse(result.output)) {
    encoded.push_back({text.at("ids"), text.at("offsets"), text.at("before")});
    require_ids(encoded.back().ids);
    require_ids(encoded.back().before);
  }
  return encoded;
}

void Tokenizer::require_ids(const std::vector<int>& ids) const {
  for (const int id : ids) {
    if (id < 0 || id >= std::ssize(token_bytes_)) {
      throw BadInput(weights_path_, "/tokenizer/json: token id", id,
                     fmt::format("between 0 and {}", std::ssize(token_bytes_) - 1));
    }
  }
}

std::size_t Tokenizer::longest_token_bytes() const {
  std::size_t longest = 1;
  for (const std::string& token : token_bytes_) longest = std::max(longest, token.size());
  return longest;
}

std::string Tokenizer::decode(const std::vector<int>& ids) const {
  std::string text;
  for (const int id : ids) text += token_bytes_.at(static_cast<std::size_t>(id));
  return text;
}

}  // namespace apb
