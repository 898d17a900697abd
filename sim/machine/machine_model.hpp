#pragma once
/// \file
/// How long a machine takes: rates looked up in a profile's tables, interpolated between points,
/// held at the edge beyond them, and marked for what they are.

#include <array>
#include <vector>

#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

/// A rate and what it rests on.
struct Rate {
  FlopPerSecond rate{};
  Provenance provenance = Provenance::kAssumed;
};

/// A duration and what it rests on.
struct Duration {
  Seconds time{};
  Provenance provenance = Provenance::kAssumed;
};

/// Where the GPUs of a collective sit.
struct Placement {
  Index num_ranks = 1;       ///< GPUs that take part
  Index ranks_per_node = 1;  ///< of these, in one node
  Index groups_per_node =
      1;  ///< collectives like this one that run in a node at once and share its NICs

  [[nodiscard]] Index num_nodes() const {
    return (num_ranks + ranks_per_node - 1) / ranks_per_node;
  }
};

/// A profile made ready for look-ups.
class MachineModel {
 public:
  explicit MachineModel(MachineProfile profile);

  [[nodiscard]] const MachineProfile& profile() const { return profile_; }

  /// The back end's number, for attention_rate.
  /// \param name empty: the profile's first
  /// \throws BadInput listing those there are
  [[nodiscard]] std::size_t backend(const std::string& name) const;
  [[nodiscard]] const AttentionTable* backend_table(std::size_t backend) const;

  /// Rate of a product [m, k] x [k, n]: linear in m between points of the same [k, n]; between the
  /// two nearest other shapes where that one was not measured.
  [[nodiscard]] Rate gemm_rate(Index m, Index n, Index k) const;

  /// Rate of an attention kernel, which follows the keys that a row sees on average.
  [[nodiscard]] Rate attention_rate(std::size_t backend, MaskKind mask, double mean_keys,
                                    Index head_dim) const;

  /// Time of one collective.
  /// \param size as CollectivePoint has it
  [[nodiscard]] Duration collective_time(CollectiveKind kind, const Placement& placement,
                                         Bytes size) const;

 private:
  struct Point {
    double at = 0;
    double rate = 0;
  };
  /// Points of one curve, ascending; duplicates are averaged.
  struct Curve {
    std::vector<Point> points;
    Provenance provenance = Provenance::kAssumed;

    void finish();
    [[nodiscard]] Rate at(double where) const;
  };
  struct GemmCurve {
    Index n = 0;
    Index k = 0;
    Curve curve;
  };
  struct AttentionCurves {
    std::string backend;
    Index head_dim = 0;
    std::array<Curve, 2> by_mask;
  };

  [[nodiscard]] Duration table_time(const CollectiveTable& table, Bytes size) const;
  [[nodiscard]] Duration node_time(CollectiveKind kind, Index num_ranks, Bytes size) const;

  MachineProfile profile_;
  std::vector<GemmCurve> gemm_;
  std::vector<AttentionCurves> attention_;
  std::vector<std::string> backends_;
};

}  // namespace apb::sim
