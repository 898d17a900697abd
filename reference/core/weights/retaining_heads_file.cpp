#include "reference/core/weights/retaining_heads_file.hpp"

#include <array>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {
namespace {

constexpr Index kMaxHiddenSize = Index{1} << 20;

/// Shapes of one layer's fc1 and fc2 (unused by linear heads).
struct HeadShapes {
  std::array<Index, 2> fc1;
  std::array<Index, 2> fc2;
};

HeadShapes shapes_of(const ModelShape& model, Index hidden_size) {
  const Index input_size = (model.num_q_heads + 2 * model.num_kv_heads) * model.head_dim;
  return {{hidden_size == 0 ? model.num_kv_heads : hidden_size, input_size},
          {model.num_kv_heads, hidden_size}};
}

std::string dataset(Index layer, const char* name) {
  return fmt::format("/layers/{}/{}", layer, name);
}

void require_equal(const Hdf5Reader& file, const char* key, Index model_value) {
  if (const Index found = file.int_attribute(key); found != model_value) {
    throw BadInput(file.path(), key, found, fmt::format("{}, as in the model", model_value));
  }
}

template <class Scalar>
Matrix<Scalar> read_matrix(const Hdf5Reader& file, const std::string& name,
                           const std::array<Index, 2>& shape) {
  Matrix<Scalar> matrix(shape[0], shape[1]);
  file.read<Scalar>(name, shape, {matrix.data(), static_cast<std::size_t>(matrix.size())});
  return matrix;
}

}  // namespace

Index read_retaining_size(const std::string& path, const ModelShape& model) {
  const Hdf5Reader file(path);
  if (const std::string schema = file.string_attribute("schema"); schema != "apb-heads") {
    throw BadInput(path, "schema", schema, "apb-heads");
  }
  if (const auto version = file.int_attribute("version"); version != 1) {
    throw BadInput(path, "version", version, "1");
  }
  const Index hidden_size = file.int_attribute("hidden_size");
  if (hidden_size < 0 || hidden_size > kMaxHiddenSize) {
    throw BadInput(path, "hidden_size", hidden_size,
                   fmt::format("between 0 (linear heads) and {}", kMaxHiddenSize));
  }
  const HeadShapes shapes = shapes_of(model, hidden_size);
  require_equal(file, "num_layers", model.num_layers);
  require_equal(file, "num_kv_heads", model.num_kv_heads);
  require_equal(file, "input_size", shapes.fc1[1]);
  for (Index layer = 0; layer < model.num_layers; ++layer) {
    file.require_stored(dataset(layer, "fc1"), shapes.fc1);
    if (hidden_size > 0) file.require_stored(dataset(layer, "fc2"), shapes.fc2);
  }
  return hidden_size;
}

template <class Scalar>
std::vector<RetainingHead<Scalar>> read_retaining_heads(const std::string& path,
                                                        const ModelShape& model) {
  const Index hidden_size = read_retaining_size(path, model);
  const HeadShapes shapes = shapes_of(model, hidden_size);
  const Hdf5Reader file(path);
  std::vector<RetainingHead<Scalar>> heads;
  for (Index layer = 0; layer < model.num_layers; ++layer) {
    RetainingHead<Scalar>& head = heads.emplace_back();
    head.fc1 = read_matrix<Scalar>(file, dataset(layer, "fc1"), shapes.fc1);
    if (hidden_size > 0) head.fc2 = read_matrix<Scalar>(file, dataset(layer, "fc2"), shapes.fc2);
  }
  return heads;
}

template std::vector<RetainingHead<float>> read_retaining_heads(const std::string&,
                                                                const ModelShape&);
template std::vector<RetainingHead<double>> read_retaining_heads(const std::string&,
                                                                 const ModelShape&);

}  // namespace apb
