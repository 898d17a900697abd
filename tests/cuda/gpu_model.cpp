#include "tests/cuda/gpu_model.hpp"

#include <cmath>
#include <numeric>

#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

/// Values of variance 1 / inputs, rounded.
Matrix<float> random_weights(RandomTensors& random, Index outputs, Index inputs, ValueType type) {
  const double scale = std::sqrt(3.0 / static_cast<double>(inputs));
  const Matrix<double> values = random.matrix<double>(outputs, inputs) * scale;
  return values.unaryExpr([&](double value) { return static_cast<float>(round_to(type, value)); });
}

template <class Scalar>
Matrix<double> cast(const Matrix<Scalar>& matrix) {
  return matrix.template cast<double>();
}

template <class T>
std::vector<float> floats(const cuda::DeviceBuffer<T>& buffer, std::size_t count,
                          cudaStream_t stream) {
  std::vector<float> values;
  for (const T value : cuda::to_host(buffer, stream)) values.push_back(static_cast<float>(value));
  values.resize(count);
  return values;
}

}  // namespace

ModelWeights<float> gpu_model_weights(const GpuModelShape& shape, ValueType type) {
  RandomTensors random(81);
  ModelWeights<float> weights;
  weights.shape = {.name = "small",
                   .num_layers = 2,
                   .hidden_size = 192,
                   .intermediate_size = 320,
                   .num_q_heads = shape.num_q_heads,
                   .num_kv_heads = shape.num_kv_heads,
                   .head_dim = shape.head_dim,
                   .vocab_size = 200,
                   .context_len = 8192,
                   .rope_theta = 1e4,
                   .rms_norm_eps = 1e-5};
  const ModelShape& its = weights.shape;
  const auto matrix = [&](Index outputs, Index inputs) {
    return random_weights(random, outputs, inputs, type);
  };
  const Index queries = its.num_q_heads * its.head_dim, keys = its.num_kv_heads * its.head_dim;
  weights.embedding = matrix(its.vocab_size, its.hidden_size) * 8;
  weights.final_norm = matrix(1, its.hidden_size) * 8;
  for (Index layer = 0; layer < its.num_layers; ++layer) {
    LayerWeights<float> w;
    w.attention_norm = matrix(1, its.hidden_size) * 8;
    w.query = matrix(queries, its.hidden_size);
    w.key = matrix(keys, its.hidden_size);
    w.value = matrix(keys, its.hidden_size);
    w.query_bias = matrix(1, queries);
    w.key_bias = matrix(1, keys);
    w.value_bias = matrix(1, keys);
    w.output = matrix(its.hidden_size, queries);
    w.ffn_norm = matrix(1, its.hidden_size) * 8;
    w.gate = matrix(its.intermediate_size, its.hidden_size);
    w.up = matrix(its.intermediate_size, its.hidden_size);
    w.down = matrix(its.hidden_size, its.intermediate_size);
    weights.layers.push_back(std::move(w));
    const Index hidden = shape.retaining_hidden;
    RetainingHead<float> head;
    head.fc1 = matrix(hidden == 0 ? its.num_kv_heads : hidden, queries + 2 * keys);
    if (hidden > 0) head.fc2 = matrix(its.num_kv_heads, hidden);
    weights.retaining_heads.push_back(std::move(head));
  }
  return weights;
}

ModelWeights<double> in_double(const ModelWeights<float>& weights) {
  ModelWeights<double> result;
  result.shape = weights.shape;
  result.embedding = cast(weights.embedding);
  result.final_norm = cast(weights.final_norm);
  result.head = cast(weights.head);
  for (const LayerWeights<float>& w : weights.layers) {
    LayerWeights<double> layer;
    layer.attention_norm = cast(w.attention_norm);
    layer.query = cast(w.query);
    layer.key = cast(w.key);
    layer.value = cast(w.value);
    layer.query_bias = cast(w.query_bias);
    layer.key_bias = cast(w.key_bias);
    layer.value_bias = cast(w.value_bias);
    layer.output = cast(w.output);
    layer.ffn_norm = cast(w.ffn_norm);
    layer.gate = cast(w.gate);
    layer.up = cast(w.up);
    layer.down = cast(w.down);
    result.layers.push_back(std::move(layer));
  }
  for (const RetainingHead<float>& head : weights.retaining_heads) {
    result.retaining_heads.push_back({cast(head.fc1), cast(head.fc2)});
  }
  return result;
}

GpuCase make_gpu_case(Method method, ApbConfig config, const ModelShape& shape,
                      std::uint64_t seed) {
  RandomTensors random(seed);
  const auto vocab_size = static_cast<int>(shape.vocab_size);
  GpuCase work;
  work.method = method;
  work.document = random.tokens(config.doc_len, vocab_size);
  work.query = random.tokens(std::max<Index>(config.embedded_query_len, 4), vocab_size);
  work.expected_answer = random.tokens(3, vocab_size);
  config.query_len = std::ssize(work.query);
  set_model_shape(config, shape);
  work.config = method_config(method, config);
  return work;
}

template <class T>
GpuOutcome run_gpu_rank(const GpuCase& work, const cuda::DeviceModel<T>& model,
                        cuda::DeviceCommunicator& communicator) {
  const BlockLayout layout = method_layout(work.method, work.config);
  cuda::GpuRank rank{work.config, layout, communicator};
  const auto to_come =
      std::ssize(work.query) + std::ssize(work.expected_answer) + work.answer_tokens;
  cuda::DevicePrefill<T> prefilled = cuda::prefill<T>(
      rank, model, {work.method, work.document, work.query, to_come}, [](Index) {});
  const cudaStream_t stream = rank.stream.get();
  GpuOutcome outcome;
  outcome.hidden = floats(prefilled.hidden, prefilled.hidden.size(), stream);
  const auto cached = static_cast<std::size_t>(prefilled.cache.rows * model.shape.num_kv_heads *
                                               model.shape.head_dim);
  for (const auto& cache : prefilled.cache.layers) {
    outcome.keys.push_back(floats(cache.key, cached, stream));
    outcome.values.push_back(floats(cache.value, cached, stream));
  }
  for (const cuda::KeptOfLayer& kept : prefilled.kept) {
    outcome.kept.push_back(cuda::to_host(kept.positions, stream));
    outcome.importance.push_back(cuda::to_host(kept.importance, stream));
  }
  outcome.bytes_received = prefilled.bytes_received;
  std::vector<Index> positions(work.document.empty() ? 0 : work.document.size() - 1);
  std::iota(positions.begin(), positions.end(), Index{1});
  outcome.nll = cuda::document_nll(rank, model, prefilled, work.document, positions);
  outcome.expected_log_p =
      cuda::teacher_forced(rank, model, prefilled.cache, work.query, work.expected_answer);
  outcome.answer =
      cuda::greedy_decode(rank, model, prefilled.cache, work.query, work.answer_tokens);
  return outcome;
}

template <class T>
std::vector<GpuOutcome> run_gpu_ranks(const GpuCase& work, const ModelWeights<float>& weights) {
  const cuda::Stream stream;
  const cuda::DeviceModel<T> model = cuda::to_device<T>(weights, stream.get());
  stream.synchronize();
  std::vector<GpuOutcome> outcomes(static_cast<std::size_t>(work.config.num_ranks));
  cuda::run_loopback_ranks(work.config.num_ranks, [&](cuda::DeviceCommunicator& communicator) {
    outcomes[static_cast<std::size_t>(communicator.rank())] =
        run_gpu_rank<T>(work, model, communicator);
  });
  return outcomes;
}

template GpuOutcome run_gpu_rank(const GpuCase&, const cuda::DeviceModel<cuda::Bfloat16>&,
                                 cuda::DeviceCommunicator&);
template GpuOutcome run_gpu_rank(const GpuCase&, const cuda::DeviceModel<cuda::Float16>&,
                                 cuda::DeviceCommunicator&);
template std::vector<GpuOutcome> run_gpu_ranks<cuda::Bfloat16>(const GpuCase&,
                                                               const ModelWeights<float>&);
template std::vector<GpuOutcome> run_gpu_ranks<cuda::Float16>(const GpuCase&,
                                                              const ModelWeights<float>&);

}  // namespace apb
