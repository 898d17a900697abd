// Files of retaining heads: read back bit for bit; refused by name if they do not fit the model.

#include "reference/core/weights/retaining_heads_file.hpp"
#include "reference/core/weights/toy_model.hpp"

#include <functional>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/model/model_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

/// Heads for the toy model; what a test spoils differs from what is accepted.
struct HeadsFile {
  std::string schema = "apb-heads";
  std::int64_t version = 1;
  std::int64_t num_layers = 4;
  std::int64_t num_kv_heads = 2;
  std::int64_t input_size = 160;
  std::int64_t hidden_size = 20;
  std::string left_out;
  std::string misshapen;  ///< a dataset with one row too many

  void write(const std::string& path) const {
    Hdf5Writer writer(path);
    writer.set_attribute("/", "schema", std::string_view(schema));
    const auto number = [&](const std::string& name, std::int64_t value) {
      if (name != left_out) writer.set_attribute("/", name, value);
    };
    number("version", version);
    number("num_layers", num_layers);
    number("num_kv_heads", num_kv_heads);
    number("input_size", input_size);
    number("hidden_size", hidden_size);
    writer.create_group("/layers");
    const auto heads = random_retaining_heads<float>(toy_shape(), hidden_size == 0 ? 0 : 20, 321);
    for (std::size_t layer = 0; layer < heads.size(); ++layer) {
      const std::string at = fmt::format("/layers/{}", layer);
      writer.create_group(at);
      write_matrix(writer, at + "/fc1", heads[layer].fc1);
      if (hidden_size > 0) write_matrix(writer, at + "/fc2", heads[layer].fc2);
    }
    writer.commit();
  }

 private:
  void write_matrix(Hdf5Writer& writer, const std::string& name, Matrix<float> matrix) const {
    if (name == left_out) return;
    if (name == misshapen) matrix.conservativeResize(matrix.rows() + 1, Eigen::NoChange);
    writer.write<float>(name, std::array{matrix.rows(), matrix.cols()},
                        {matrix.data(), static_cast<std::size_t>(matrix.size())});
  }
};

TEST_CASE("heads are read bit for bit, two-layer and linear", "[retaining]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("heads.h5");
  for (const Index hidden_size : {20, 0}) {
    HeadsFile file;
    file.hidden_size = hidden_size;
    file.write(path);
    CHECK(read_retaining_size(path, toy_shape()) == hidden_size);
    const auto heads = read_retaining_heads<float>(path, toy_shape());
    const auto expected = random_retaining_heads<float>(toy_shape(), hidden_size, 321);
    REQUIRE(heads.size() == 4);
    for (std::size_t layer = 0; layer < 4; ++layer) {
      CHECK(bit_equal(heads[layer].fc1, expected[layer].fc1));
      CHECK(bit_equal(heads[layer].fc2, expected[layer].fc2));
    }
  }
}

TEST_CASE("heads that do not fit are refused by name", "[retaining]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("heads.h5");
  struct Refusal {
    std::string named;
    std::function<void(HeadsFile&)> spoil;
  };
  std::vector<Refusal> refusals{
      {"schema = apb-weights: must be apb-heads", [](auto& f) { f.schema = "apb-weights"; }},
      {"version = 2: must be 1", [](auto& f) { f.version = 2; }},
      {"num_layers = 5: must be 4, as in the model", [](auto& f) { f.num_layers = 5; }},
      {"num_kv_heads = 6: must be 2, as in the model", [](auto& f) { f.num_kv_heads = 6; }},
      {"input_size = 161: must be 160, as in the model", [](auto& f) { f.input_size = 161; }},
      {"hidden_size = -1: must be between 0", [](auto& f) { f.hidden_size = -1; }},
      {"/layers/0/fc1 = shape [", [](auto& f) { f.hidden_size = 21; }},
  };
  for (const std::string name : {"version", "num_layers", "input_size", "hidden_size"}) {
    refusals.push_back({"attribute " + name + " is missing", [=](auto& f) { f.left_out = name; }});
  }
  for (const std::string name : {"/layers/0/fc1", "/layers/3/fc1", "/layers/2/fc2"}) {
    refusals.push_back({"dataset " + name + " is missing", [=](auto& f) { f.left_out = name; }});
    refusals.push_back({name + " = shape [", [=](auto& f) { f.misshapen = name; }});
  }
  for (const Refusal& expected : refusals) {
    HeadsFile file;
    expected.spoil(file);
    file.write(path);
    CAPTURE(expected.named);
    const std::string line = refusal([&] { (void)read_retaining_heads<float>(path, toy_shape()); });
    CAPTURE(line);
    CHECK(line.starts_with(path + ": "));
    CHECK(line.find(expected.named) != std::string::npos);
  }
}

}  // namespace
}  // namespace apb
