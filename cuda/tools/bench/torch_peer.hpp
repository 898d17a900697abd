#pragma once
/// \file
/// Attention by cuDNN, as PyTorch calls it, on the same GPU: what a library of the field takes.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda/benchmarks/machine_points.hpp"

namespace apb::cuda {

struct PeerTimes {
  std::string peer;     ///< name and versions; empty: there is none
  std::string why_not;  ///< a line, if there is none
  /// Of each shape, the median; none where memory did not suffice. Empty without a peer.
  std::vector<std::optional<double>> seconds;
};

/// Runs torch_attention.py, which needs the GPU's memory for itself.
/// \param python a Python program; one without PyTorch is no error
[[nodiscard]] PeerTimes time_by_torch(const std::string& python,
                                      std::span<const AttentionShape> shapes);

}  // namespace apb::cuda
