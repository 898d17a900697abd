#pragma once
/// \file
/// Text to token ids and back. Encoding is Python's business (byte-level BPE of the `tokenizers`
/// library, by import.py); decoding is a table look-up and done here.

#include <string>
#include <utility>
#include <vector>

#include "reference/core/index.hpp"

namespace apb {

struct EncodedText {
  std::vector<int> ids;
  std::vector<std::pair<Index, Index>> offsets;  ///< bytes [begin, end) of the text, per token
  /// What the tokenizer puts before every text, as Llama 3's its BOS: not among `ids`.
  std::vector<int> before;

  /// Tokens that touch the bytes [begin, end): first and one past the last.
  [[nodiscard]] std::pair<Index, Index> tokens_of_bytes(Index begin, Index end) const;
};

/// A text as it is where nothing precedes it: `before` is moved to the front, as tokens of no
/// bytes.
[[nodiscard]] EncodedText beginning(EncodedText text);

class Tokenizer {
 public:
  /// The tokenizer that a weights file carries. \throws BadInput if it has none
  [[nodiscard]] static Tokenizer of_weights_file(const std::string& path);
  /// Every byte is a token: for the toy model.
  [[nodiscard]] static Tokenizer of_bytes();

  /// Refuses a text that this tokenizer cannot read: UTF-8 only, but byte tokens take any bytes.
  /// \param origin file or option that the text comes from
  /// \throws BadInput naming the first wrong byte, counted from 0
  void require_text(const std::string& origin, const std::string& text) const;

  /// Encodes several texts at once (one Python process).
  /// \throws CannotRun if Python or its packages are missing
  [[nodiscard]] std::vector<EncodedText> encode(const std::vector<std::string>& texts) const;

  /// Bytes of the longest token.
  [[nodiscard]] std::size_t longest_token_bytes() const;

  /// The bytes that the tokens stand for.
  [[nodiscard]] std::string decode(const std::vector<int>& ids) const;

 private:
  /// \throws BadInput unless all are tokens of the vocabulary
  void require_ids(const std::vector<int>& ids) const;

  std::string weights_path_;              ///< empty: byte tokens
  std::vector<std::string> token_bytes_;  ///< per token id
};

}  // namespace apb
