#pragma once
/// \file
/// The products of activations and weights of a layer, by cuBLASLt.

#include <cuda_runtime_api.h>

#include <memory>

#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"

namespace apb::cuda {

/// One product y = x w^T. T is Bfloat16 or Float16, Out is T or float.
template <class T, class Out>
struct MatrixProduct {
  DeviceRows<const T> x;    ///< [rows, inputs]
  const T* w = nullptr;     ///< [outputs, inputs], dense, as model files have weights
  DeviceRows<Out> y;        ///< [rows, outputs]
  const T* bias = nullptr;  ///< [outputs], added to every row; null: none. For Out = T only
  bool add =
      false;  ///< y += x w^T: into a residual stream. The product may be rounded to Out first
};

/// Owns cuBLASLt's handle and workspace, and remembers which algorithm it has for each shape. One
/// object serves one stream at a time: products share the workspace.
///
/// Sums are accumulated in fp32. For a given shape, alignment, GPU and version of
/// cuBLASLt the algorithm is always the same and none is taken that adds up in an order left to
/// chance: results have the same bits on every run, in whichever process.
class MatrixProducts {
 public:
  /// \throws LibraryError, CudaError (no memory for the workspace)
  MatrixProducts();
  ~MatrixProducts();
  MatrixProducts(const MatrixProducts&) = delete;
  MatrixProducts& operator=(const MatrixProducts&) = delete;
  MatrixProducts(MatrixProducts&&) = delete;
  MatrixProducts& operator=(MatrixProducts&&) = delete;

  /// Enqueues one product. \throws BadInput if shapes do not fit; LibraryError
  template <class T, class Out>
  void enqueue(const MatrixProduct<T, Out>& product, cudaStream_t stream);

 private:
  class Plans;
  std::unique_ptr<Plans> plans_;
};

}  // namespace apb::cuda
