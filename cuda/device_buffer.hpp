#pragma once
/// \file
/// Device memory with an owner, and copies between it and host memory.

#include <cstddef>
#include <source_location>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/check.hpp"

namespace apb::cuda {

/// Plain device memory (cudaMalloc), not initialised; null for 0 bytes.
/// \throws CudaError, with the bytes that were wanted and those that are free
[[nodiscard]] void* allocate_device_memory(std::size_t bytes, const std::source_location& where);

/// Owns `size` elements of device memory, not initialised.
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  /// \throws CudaError if there is not enough memory
  explicit DeviceBuffer(std::size_t size,
                        const std::source_location& where = std::source_location::current())
      : data_(static_cast<T*>(allocate_device_memory(size * sizeof(T), where))), size_(size) {}
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
