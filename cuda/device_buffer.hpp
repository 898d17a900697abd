#pragma once
/// \file
/// Device memory with an owner, and copies between it and host memory.

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/check.hpp"

namespace apb::cuda {

/// Owns `size` elements of plain device memory (cudaMalloc), not initialised.
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  /// \throws CudaError if there is not enough memory
  explicit DeviceBuffer(std::size_t size) : size_(size) {
    if (size > 0) check(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T)));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() { cudaFree(data_); }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Copies to the device; done for the caller when it returns if `source` is pageable memory.
template <class T>
void copy_to_device(std::span<const T> source, T* target, cudaStream_t stream) {
  check(
      cudaMemcpyAsync(target, source.data(), source.size_bytes(), cudaMemcpyHostToDevice, stream));
}

/// A device copy of host values.
template <class T>
[[nodiscard]] DeviceBuffer<T> to_device(const std::vector<T>& values, cudaStream_t stream) {
  DeviceBuffer<T> buffer(values.size());
  copy_to_device<T>(values, buffer.data(), stream);
  return buffer;
}

/// A host copy of device values; waits for the stream.
template <class T>
[[nodiscard]] std::vector<T> to_host(const DeviceBuffer<T>& buffer, cudaStream_t stream) {
  std::vector<T> values(buffer.size());
  check(cudaMemcpyAsync(values.data(), buffer.data(), buffer.size() * sizeof(T),
                        cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  return values;
}

}  // namespace apb::cuda
