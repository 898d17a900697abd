#pragma once
/// \file
/// The model that a command runs: a weights file or the built-in toy, perhaps with retaining heads.

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/core/weights/model_weights.hpp"
#include "reference/model_io/tokenizer.hpp"

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
  [[nodiscard]] ModelShape shape() const;
  /// \throws BadInput
  [[nodiscard]] Tokenizer tokenizer() const;
  /// \throws BadInput
  template <class Scalar>
  [[nodiscard]] ModelWeights<Scalar> weights() const;
};

/// Weights loaded once per process, by whichever rank asks first.
template <class Scalar>
class SharedWeights {
 public:
  [[nodiscard]] const ModelWeights<Scalar>& get(const ModelSource& source) {
    std::call_once(once_, [&] {
      weights_ = std::make_unique<ModelWeights<Scalar>>(source.weights<Scalar>());
    });
    return *weights_;
  }

 private:
  std::once_flag once_;
  std::unique_ptr<ModelWeights<Scalar>> weights_;
};

void to_json(nlohmann::json& json, const ModelSource& source);
void from_json(const nlohmann::json& json, ModelSource& source);

}  // namespace apb
