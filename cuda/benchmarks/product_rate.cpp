// Products of a layer by MatrixProducts against every algorithm that cuBLASLt has for them: the
// share of its best rate that is reached.
//
//   cuda_product_rate MODEL.json [REPEATS]
//
// MODEL.json as in configs/models. Rows are those of APB's last rank of 8 at 128K, and a piece of
// the feed-forward network; bf16, random values, L2 cache cold. cuBLASLt may add parts of a sum in
// any order here, MatrixProducts may not.

#include <cublasLt.h>
#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <memory>

#include "cuda/benchmarks/random_values.hpp"
#include "cuda/benchmarks/timing.hpp"
#include "cuda/error.hpp"
#include "cuda/layer/matrix_product.hpp"
#include "reference/core/weights/model_shape_file.hpp"

namespace apb::cuda {
namespace {

constexpr Index kRankRows = 4096 + 16384;
constexpr Index kPieceRows = 8192;
constexpr int kMostAlgorithms = 32;

void check_cublas(cublasStatus_t status,
                  const std::source_location& where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw LibraryError("cuBLASLt", cublasLtGetStatusString(status), where);
  }
}

/// A product's sizes, and what it does beside.
struct ProductShape {
  const char* name;
  Index rows, inputs, outputs;
  bool bias = false, add = false;

  [[nodiscard]] double flop() const {
    return 2 * static_cast<double>(rows) * static_cast<double>(inputs) *
           static_cast<double>(outputs);
  }
};

/// What a product reads and writes.
struct Operands {
  DeviceBuffer<Bfloat16> x, w, y, bias;

  Operands(const ProductShape& shape, cudaStream_t stream)
      : x(normal(shape.rows * shape.inputs, 1, stream)),
        w(normal(shape.outputs * shape.inputs, 2, stream)),
        y(normal(shape.rows * shape.outputs, 3, stream)),
        bias(normal(shape.outputs, 4, stream)) {}

  static DeviceBuffer<Bfloat16> normal(Index count, std::uint64_t seed, cudaStream_t stream) {
    DeviceBuffer<Bfloat16> values(static_cast<std::size_t>(count));
    fill_normal(values.data(), count, 1, seed, stream);
    return values;
  }
};

/// The same product by cuBLASLt's own interface. Matrices are given as their transposes, because
/// it counts columns first.
class EveryAlgorithm {
 public:
  EveryAlgorithm(const ProductShape& shape, const Operands& operands)
      : shape_(shape), operands_(operands), workspace_(std::size_t{32} << 20) {
    check_cublas(cublasLtCreate(&handle_));
    check_cublas(cublasLtMatmulDescCreate(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (shape.bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias.data());
    }
    w_ = layout(shape.inputs, shape.outputs);
    x_ = layout(shape.inputs, shape.rows);
    y_ = layout(shape.outputs, shape.rows);
    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublasLtMatmulPreferenceCreate(&preference));
    const std::size_t bytes = workspace_.size();
    check_cublas(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof(bytes)));
    algorithms_.resize(kMostAlgorithms);
    int found = 0;
    check_cublas(cublasLtMatmulAlgoGetHeuristic(handle_, product_, w_, x_, y_, y_, preference,
                                                kMostAlgorithms, algorithms_.data(), &found));
    algorithms_.resize(static_cast<std::size_t>(found));
    cublasLtMatmulPreferenceDestroy(preference);
  }
  EveryAlgorithm(const EveryAlgorithm&) = delete;
  EveryAlgorithm& operator=(const EveryAlgorithm&) = delete;
  EveryAlgorithm(EveryAlgorithm&&) = delete;
  EveryAlgorithm& operator=(EveryAlgorithm&&) = delete;
  ~EveryAlgorithm() {
    for (cublasLtMatrixLayout_t its : {w_, x_, y_}) cublasLtMatrixLayoutDestroy(its);
    cublasLtMatmulDescDestroy(product_);
    cublasLtDestroy(handle_);
  }

  [[nodiscard]] std::size_t count() const { return algorithms_.size(); }

  /// Enqueues the product by one of them. \returns whether it could
  [[nodiscard]] bool enqueue(std::size_t algorithm, cudaStream_t stream) const {
    const float alpha = 1, beta = shape_.add ? 1 : 0;
    return cublasLtMatmul(handle_, product_, &alpha, operands_.w.data(), w_, operands_.x.data(), x_,
                          &beta, operands_.y.data(), y_, operands_.y.data(), y_,
                          &algorithms_[algorithm].algo, workspace_.data(), workspace_.size(),
                          stream) == CUBLAS_STATUS_SUCCESS;
  }

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check_cublas(cublasLtMatmulDescSetAttribute(product_, attribute, &value, sizeof(value)));
  }
  static cublasLtMatrixLayout_t layout(Index columns, Index rows) {
    cublasLtMatrixLayout_t made = nullptr;
    check_cublas(cublasLtMatrixLayoutCreate(&made, CUDA_R_16BF, static_cast<std::uint64_t>(columns),
                                            static_cast<std::uint64_t>(rows), columns));
    return made;
  }

  const ProductShape& shape_;
  const Operands& operands_;
  DeviceBuffer<std::byte> workspace_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t w_ = nullptr, x_ = nullptr, y_ = nullptr;
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms_;
};

/// Prints a line. \returns rate of MatrixProducts over the best rate
double measure(const ProductShape& shape, int repeats) {
  const Stream stream;
  const Operands operands(shape, stream.get());
  MatrixProducts products;
  const MatrixProduct<Bfloat16, Bfloat16> product{
      DeviceRows<const Bfloat16>::dense(operands.x.data(), shape.rows, shape.inputs),
      operands.w.data(), DeviceRows<Bfloat16>::dense(operands.y.data(), shape.rows, shape.outputs),
      shape.bias ? operands.bias.data() : nullptr, shape.add};
  const auto time_own = [&] {
    return time_cold([&] { products.enqueue(product, stream.get()); }, repeats, stream).median_s;
  };
  double own_s = time_own();
  const EveryAlgorithm every(shape, operands);
  double best_s = own_s;
  std::size_t best = every.count();
  for (std::size_t algorithm = 0; algorithm < every.count(); ++algorithm) {
    if (!every.enqueue(algorithm, stream.get())) continue;
    const double seconds =
        time_cold([&] { (void)every.enqueue(algorithm, stream.get()); }, repeats, stream).median_s;
    if (seconds >= best_s) continue;
    best_s = seconds;
    best = algorithm;
  }
  own_s = std::min(own_s, time_own());  // the card has become warmer meanwhile
  best_s = std::min(best_s, own_s);
  const std::string which =
      best == every.count() ? "its own" : fmt::format("number {} of {}", best, every.count());
  fmt::print(
      "{:16} {:6} x {:5} x {:5}  {:7.3f} ms {:6.1f} TFLOP/s   best {:6.1f} ({})   {:5.1f} %\n",
      shape.name, shape.rows, shape.inputs, shape.outputs, 1e3 * own_s,
      1e-12 * shape.flop() / own_s, 1e-12 * shape.flop() / best_s, which, 100 * best_s / own_s);
  std::fflush(stdout);
  return best_s / own_s;
}

void run(const std::string& model_path, int repeats) {
  const ModelShapeFile file = read_model_shape_file(model_path);
  const ModelShape& model = file.shape;
  const Index queries = model.num_q_heads * model.head_dim;
  const Index qkv = queries + 2 * model.num_kv_heads * model.head_dim;
  fmt::print("{}, bf16, one {}, median of {}\n", model.name, device_name(), repeats);
  double least = 1;
  for (const ProductShape& shape :
       {ProductShape{"qkv", kRankRows, model.hidden_size, qkv, file.qkv_bias},
        ProductShape{"output, added", kRankRows, queries, model.hidden_size, false, true},
        ProductShape{"gate and up", kRankRows, model.hidden_size, 2 * model.intermediate_size},
        ProductShape{"gate and up", kPieceRows, model.hidden_size, 2 * model.intermediate_size},
        ProductShape{"down, added", kRankRows, model.intermediate_size, model.hidden_size, false,
                     true},
        ProductShape{"down, added", kPieceRows, model.intermediate_size, model.hidden_size, false,
                     true}}) {
    least = std::min(least, measure(shape, repeats));
  }
  fmt::print("at least {:.1f} % of the best rate\n", 100 * least);
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: cuda_product_rate MODEL.json [REPEATS]\n");
    return 2;
  }
  try {
    apb::cuda::run(argv[1], argc == 3 ? std::atoi(argv[2]) : 10);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cuda_product_rate: {}\n", error.what());
    return 3;
  }
}
