#include "cuda/layer/matrix_product.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <type_traits>

#include "cuda/device_buffer.hpp"
#include "cuda/error.hpp"

namespace apb::cuda {
namespace {

constexpr const char* kWhere = "cuda product";
/// What NVIDIA recommends for Hopper.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void check_cublas(cublasStatus_t status,
                  const std::source_location& where = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw LibraryError("cuBLASLt", cublasLtGetStatusString(status), where);
  }
}

template <class T>
constexpr cudaDataType_t kDataType = CUDA_R_32F;
template <>
constexpr cudaDataType_t kDataType<Bfloat16> = CUDA_R_16BF;
template <>
constexpr cudaDataType_t kDataType<Float16> = CUDA_R_16F;

/// The largest power of two, up to 256, that divides an address: algorithms depend on it.
std::uint32_t alignment(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::uint32_t>(std::min<std::uintptr_t>(256, address & (~address + 1)));
}

/// cuBLASLt's objects have a create and a destroy function each.
template <class Object, auto destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Object>,
                              std::integral_constant<decltype(destroy), destroy>>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// cuBLASLt counts columns first: a row-major matrix [rows, columns] is its transpose.
Layout layout(cudaDataType_t type, Index rows, Index columns, Index row_stride) {
  cublasLtMatrixLayout_t made = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(columns),
                                          static_cast<std::uint64_t>(rows), row_stride));
  return Layout(made);
}

template <class Value>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute,
         const Value& value) {
  check_cublas(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)));
}

template <class Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const Value& value) {
  check_cublas(
      cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)));
}

/// All that decides which algorithms there are.
using Key = std::tuple<cudaDataType_t, cudaDataType_t, Index, Index, Index, Index, Index,
                       std::uint32_t, std::uint32_t, std::uint32_t, bool, bool>;

struct Plan {
  Description description;
  Layout w, x, y;
  cublasLtMatmulAlgo_t algorithm;
};

template <class T, class Out>
void check_shapes(const MatrixProduct<T, Out>& product) {
  const auto& [x, w, y, bias, add] = product;
  if (x.rows != y.rows) {
    throw BadInput(kWhere, "rows of y", y.rows, fmt::format("those of x ({})", x.rows));
  }
  if (x.rows < 0 || x.columns < 1 || y.columns < 1) {
    throw BadInput(kWhere, "rows, inputs, outputs",
                   fmt::format("{}, {}, {}", x.rows, x.columns, y.columns), "at least 0, 1, 1");
  }
  if (x.row_stride < x.columns || y.row_stride < y.columns) {
    throw BadInput(kWhere, "row strides of x and y",
                   fmt::format("{}, {}", x.row_stride, y.row_stride),
                   fmt::format("at least {}, {}", x.columns, y.columns));
  }
  if (bias != nullptr && !std::is_same_v<T, Out>) {
    throw BadInput(kWhere, "bias", "given", "null where the result is fp32");
  }
}

}  // namespace

class MatrixProducts::Plans {
 public:
  Plans() : handle_(create()), workspace_(kWorkspaceBytes) {}

  template <class T, class Out>
  Plan& plan_of(const MatrixProduct<T, Out>& product) {
    const auto& [x, w, y, bias, add] = product;
    const Key key{kDataType<T>, kDataType<Out>,    x.rows,       x.columns,
                  y.columns,    x.row_stride,      y.row_stride, alignment(x.data),
                  alignment(w), alignment(y.data), add,          bias != nullptr};
    const auto found = plans_.find(key);
    return found != plans_.end() ? found->second
                                 : plans_.emplace(key, make_plan(product)).first->second;
  }

  template <class T, class Out>
  void enqueue(const MatrixProduct<T, Out>& product, cudaStream_t stream) {
    Plan& plan = plan_of(product);
    if (product.bias != nullptr) {
      set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
    }
    const float alpha = 1;
    const float beta = product.add ? 1 : 0;
    check_cublas(cublasLtMatmul(handle_.get(), plan.description.get(), &alpha, product.w,
                                plan.w.get(), product.x.data, plan.x.get(), &beta, product.y.data,
                                plan.y.get(), product.y.data, plan.y.get(), &plan.algorithm,
                                workspace_.data(), workspace_.size(), stream));
  }

 private:
  static cublasLtHandle_t create() {
    cublasLtHandle_t handle = nullptr;
    check_cublas(cublasLtCreate(&handle));
    return handle;
  }

  template <class T, class Out>
  Plan make_plan(const MatrixProduct<T, Out>& product) const {
    const auto& [x, w, y, bias, add] = product;
    cublasLtMatmulDesc_t made = nullptr;
    check_cublas(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    Plan plan{Description(made),
              layout(kDataType<T>, y.columns, x.columns, x.columns),
              layout(kDataType<T>, x.rows, x.columns, x.row_stride),
              layout(kDataType<Out>, y.rows, y.columns, y.row_stride),
              {}};
    set(plan.description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (bias != nullptr) {
      set(plan.description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(plan.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }

    cublasLtMatmulPreference_t preferred = nullptr;
    check_cublas(cublasLtMatmulPreferenceCreate(&preferred));
    const Preference preference(preferred);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    // Parts of a sum are added in a fixed order: never in place, by whoever comes first.
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(w));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(x.data));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(y.data));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(y.data));

    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    check_cublas(cublasLtMatmulAlgoGetHeuristic(handle_.get(), plan.description.get(), plan.w.get(),
                                                plan.x.get(), plan.y.get(), plan.y.get(),
                                                preference.get(), 1, &best, &found));
    if (found == 0) check_cublas(CUBLAS_STATUS_NOT_SUPPORTED);
    plan.algorithm = best.algo;
    return plan;
  }

  Owned<cublasLtHandle_t, cublasLtDestroy> handle_;
  DeviceBuffer<std::byte> workspace_;
  std::map<Key, Plan> plans_;
};

MatrixProducts::MatrixProducts() : plans_(std::make_unique<Plans>()) {}
MatrixProducts::~MatrixProducts() = default;

template <class T, class Out>
void MatrixProducts::enqueue(const MatrixProduct<T, Out>& product, cudaStream_t stream) {
  check_shapes(product);
  if (product.x.rows > 0) plans_->enqueue(product, stream);
}

template void MatrixProducts::enqueue(const MatrixProduct<Bfloat16, Bfloat16>&, cudaStream_t);
template void MatrixProducts::enqueue(const MatrixProduct<Bfloat16, float>&, cudaStream_t);
template void MatrixProducts::enqueue(const MatrixProduct<Float16, Float16>&, cudaStream_t);
template void MatrixProducts::enqueue(const MatrixProduct<Float16, float>&, cudaStream_t);

}  // namespace apb::cuda
