#include "reference/model_io/model_source.hpp"

#include <cstdlib>

#include "reference/core/hdf5/hdf5_guard.hpp"
#include "reference/core/weights/retaining_heads_file.hpp"
#include "reference/core/weights/toy_model.hpp"

namespace apb {
namespace {

constexpr std::uint64_t kToySeed = 1;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string ModelSource::default_path() {
  if (std::string path = environment("APB_WEIGHTS"); !path.empty()) return path;
  const std::string cache = environment("XDG_CACHE_HOME");
  return (cache.empty() ? environment("HOME") + "/.cache" : cache) +
         "/apb/models/smollm2-135m-instruct.h5";
}

void ModelSource::check() const {
  if (!toy) check_hdf5_in_child(weights_path);
  if (heads_path.empty()) return;
  check_hdf5_in_child(heads_path);
  (void)read_retaining_size(heads_path, shape());
}

ModelShape ModelSource::shape() const {
  return toy ? toy_shape() : read_model_shape(weights_path);
}

Tokenizer ModelSource::tokenizer() const {
  return toy ? Tokenizer::of_bytes() : Tokenizer::of_weights_file(weights_path);
}

template <class Scalar>
ModelWeights<Scalar> ModelSource::weights() const {
  ModelWeights<Scalar> weights =
      toy ? toy_weights<Scalar>(kToySeed) : read_model_weights<Scalar>(weights_path);
  if (!heads_path.empty()) {
    weights.retaining_heads = read_retaining_heads<Scalar>(heads_path, weights.shape);
  }
  return weights;
}

template ModelWeights<float> ModelSource::weights() const;
template ModelWeights<double> ModelSource::weights() const;

void to_json(nlohmann::json& json, const ModelSource& source) {
  json = {{"weights_path", source.weights_path},
          {"toy", source.toy},
          {"heads_path", source.heads_path}};
}

void from_json(const nlohmann::json& json, ModelSource& source) {
  json.at("weights_path").get_to(source.weights_path);
  json.at("toy").get_to(source.toy);
  json.at("heads_path").get_to(source.heads_path);
}

}  // namespace apb
