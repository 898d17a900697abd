#pragma once
/// \file
/// What `apb run` and `apb demo` share: the model they use, requests as JSON, progress on stderr.

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/model/evaluate.hpp"
#include "reference/tools/tokenizer.hpp"

namespace apb {

/// Where weights come from: a weights file, or the built-in toy model.
struct ModelSource {
  std::string weights_path;  ///< ignored for the toy model
  bool toy = false;
  std::string heads_path{};  ///< retaining heads for that model; empty: none

  /// $APB_WEIGHTS (set by ./apb), else the place where ./apb puts the demo's model.
  [[nodiscard]] static std::string default_path();

  /// Reads through the files in a child process, and checks that heads fit. \throws BadInput
  void check() const;
  /// The model's shape alone, without its weights. \throws BadInput
  [[nodiscard]] LlamaConfig shape() const;
  /// \throws BadInput
  [[nodiscard]] Tokenizer tokenizer() const;
  /// \throws BadInput
  template <class Scalar>
  [[nodiscard]] LlamaWeights<Scalar> weights() const;
};

/// Weights loaded once per process, by whichever rank asks first.
template <class Scalar>
class SharedWeights {
 public:
  [[nodiscard]] const LlamaWeights<Scalar>& get(const ModelSource& source) {
    std::call_once(once_, [&] {
      weights_ = std::make_unique<LlamaWeights<Scalar>>(source.weights<Scalar>());
    });
    return *weights_;
  }

 private:
  std::once_flag once_;
  std::unique_ptr<LlamaWeights<Scalar>> weights_;
};

void to_json(nlohmann::json& json, const ModelSource& source);
void from_json(const nlohmann::json& json, ModelSource& source);
void to_json(nlohmann::json& json, const ApbConfig& config);
void from_json(const nlohmann::json& json, ApbConfig& config);
void to_json(nlohmann::json& json, const EvaluationRequest& request);
void from_json(const nlohmann::json& json, EvaluationRequest& request);
void to_json(nlohmann::json& json, const Counters& counters);

/// One line that counts layers on stderr: rewritten in place on a terminal, every tenth layer
/// elsewhere.
class Progress {
 public:
  Progress(std::string label, Index num_layers, bool terminal);
  void layer_done(Index layers) const;
  /// Removes the line from a terminal.
  void clear() const;

  /// Whether stderr is a terminal.
  [[nodiscard]] static bool on_terminal();

 private:
  std::string label_;
  Index num_layers_;
  bool terminal_;
};

}  // namespace apb
