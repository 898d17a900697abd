#include "reference/model_io/trace_file.hpp"

#include <array>
#include <limits>

#include "reference/core/case/config_attributes.hpp"

namespace apb {
namespace {

void write_config(Hdf5Writer& file, const EvaluationRequest& request) {
  const ApbConfig& config = request.config;
  file.set_attribute("/", "schema", std::string_view("apb-trace"));
  file.set_attribute("/", "version", std::int64_t{1});
  file.set_attribute("/", "method", to_string(request.method));
  set_config_attributes(file, config);
  const std::vector<Index> block_lens = config.resolved_block_lens();
  file.write<Index>("/block_lens", std::array{std::ssize(block_lens)}, block_lens);
}

void write_counters(Hdf5Writer& file, const std::vector<std::vector<Counters>>& counters) {
  file.create_group("/counters");
  const std::array<Index, 2> shape{std::ssize(counters), std::ssize(counters.front())};
  for (const auto& [name, field] : kCounterFields) {
    std::vector<std::int64_t> values;
    for (const auto& rank : counters) {
      for (const Counters& layer : rank) values.push_back(layer.*field);
    }
    file.write<std::int64_t>("/counters/" + std::string(name), shape, values);
  }
}

template <class Scalar>
void write_selection(Hdf5Writer& file, const std::string& group,
                     const Selection<Scalar>& selection) {
  const Matrix<Scalar>& importance = selection.importance;
  file.write<Scalar>(group + "/importance",
                     std::array<Index, 2>{importance.rows(), importance.cols()},
                     {importance.data(), static_cast<std::size_t>(importance.size())});
  std::vector<Index> kept;
  for (const auto& head : selection.kept_positions)
    kept.insert(kept.end(), head.begin(), head.end());
  const std::array<Index, 2> shape{std::ssize(selection.kept_positions),
                                   std::ssize(selection.kept_positions.front())};
  file.write<Index>(group + "/kept_positions", shape, kept);
}

}  // namespace

template <class Scalar>
void write_trace(const std::string& path, const EvaluationRequest& request,
                 const Evaluation<Scalar>& evaluation) {
  Hdf5Writer file(path);
  write_config(file, request);
  const std::array<Index, 1> doc_shape{request.config.doc_len};
  const std::vector<std::int64_t> tokens(request.document.begin(), request.document.end());
  file.write<std::int64_t>("/tokens", doc_shape, tokens);
  if (!request.nll_positions.empty()) {
    std::vector<double> nll(tokens.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < evaluation.nll.size(); ++i) {
      nll[static_cast<std::size_t>(request.nll_positions[i])] = evaluation.nll[i];
    }
    file.write<double>("/nll", doc_shape, nll);
  }
  write_counters(file, evaluation.counters);
  const std::size_t layers = evaluation.selections.front().size();
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const std::string layer_group = "/layer_" + std::to_string(layer);
    file.create_group(layer_group);
    for (std::size_t rank = 0; rank < evaluation.selections.size(); ++rank) {
      const std::string group = layer_group + "/rank_" + std::to_string(rank);
      file.create_group(group);
      write_selection(file, group, evaluation.selections[rank][layer]);
    }
  }
  file.commit();
}

template void write_trace(const std::string&, const EvaluationRequest&, const Evaluation<float>&);
template void write_trace(const std::string&, const EvaluationRequest&, const Evaluation<double>&);

}  // namespace apb
