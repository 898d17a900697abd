#pragma once
/// \file
/// What one rank computes for one document, in a form that travels between processes.

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reference/core/communicator.hpp"
#include "reference/core/heads_tensor.hpp"
#include "reference/core/matrix.hpp"
#include "reference/model/prefill.hpp"

namespace apb {

/// Named quantities, each as the bytes of its shape and values: equal bytes are equal shapes and
/// the same bits.
class Outcome {
 public:
  template <class T>
  void add(std::string name, const std::vector<Index>& shape, std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    names_.push_back(std::move(name));
    append(std::as_bytes(std::span(shape)));
    append(std::as_bytes(values));
    ends_.push_back(bytes_.size());
  }
  template <class T>
  void add(std::string name, const std::vector<T>& values) {
    add(std::move(name), {}, std::span<const T>(values));
  }
  template <class Scalar>
  void add(std::string name, const Matrix<Scalar>& matrix) {
    add(std::move(name), {matrix.rows(), matrix.cols()},
        std::span<const Scalar>(matrix.data(), static_cast<std::size_t>(matrix.size())));
  }
  template <class Scalar>
  void add(std::string name, const HeadsTensor<Scalar>& tensor) {
    add(std::move(name), {tensor.rows(), tensor.heads(), tensor.head_dim()},
        std::span<const Scalar>(tensor.values()));
  }
  template <class Scalar>
  void add(const std::string& name, const KvCache<Scalar>& cache) {
    for (const LayerCache<Scalar>& layer : cache.layers) {
      add(name + " key cache", layer.key);
      add(name + " value cache", layer.value);
    }
  }

  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] const std::string& name(std::size_t i) const { return names_[i]; }

  /// Whether both have as many quantities, of the same sizes.
  [[nodiscard]] bool same_sizes(const Outcome& other) const { return ends_ == other.ends_; }
  /// Whether quantity i is the same in both.
  [[nodiscard]] bool same(std::size_t i, const Outcome& other) const;

  /// Every rank gets its own of those that rank 0 has, without their names. Collective.
  /// \param all one a rank on rank 0, nothing elsewhere
  [[nodiscard]] static Outcome from_rank_0(const std::vector<Outcome>& all, Communicator& world);

 private:
  void append(std::span<const std::byte> more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
  }
  [[nodiscard]] std::span<const std::byte> bytes_of(std::size_t i) const;

  std::vector<std::string> names_;
  std::vector<std::size_t> ends_;  ///< where each quantity ends in bytes_
  std::vector<std::byte> bytes_;
};

}  // namespace apb
