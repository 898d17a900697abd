#pragma once
/// \file
/// A machine profile from a base and a user's own measurements.

#include "sim/calibrate/measurements.hpp"

namespace apb::sim {

/// How well a family of measurements predicts itself (sim/calibrate/held_out.hpp).
struct FamilyFit {
  std::string family;        ///< "gemm", "attention", "collective", as the spreads are called; a
                             ///< kind of collective by itself: "  all_gather"
  std::size_t points = 0;    ///< used in the profile
  std::size_t held_out = 0;  ///< of these predicted from the others, for the errors below
  double mean = 0;           ///< of the relative errors' absolute values
  double p95 = 0;            ///< 95 % of them are not larger
  double worst = 0;          ///< with its sign
  std::string worst_point;
};

struct CalibrationResult {
  MachineProfile profile;
  std::vector<FamilyFit> fits;  ///< of the families that were measured
};

/// Fewer points held out say nothing about a spread: the base's stays.
inline constexpr std::size_t kFewestHeldOut = 3;

/// The base with measured tables in the place of its own: a product's shape, an attention library
/// at one head_dim, or a collective at one number of ranks and nodes is replaced as a whole.
/// Measured libraries come first, so that the first of them is the profile's default. \param source
/// name that the tables give as their source
[[nodiscard]] MachineProfile merged(const MachineProfile& base, const Measurements& measured,
                                    const std::string& source);

/// Which measurements go into a profile.
enum class Share {
  kAll,
  kEveryOther,  ///< those that are not held out: the profile has seen none of the points that it is
                ///< judged by
};

/// merged(), with the spreads that the measurements show.
/// \param name the new profile's
/// \param note what the source says: files, date, versions
/// \throws BadInput if nothing was measured
[[nodiscard]] CalibrationResult calibrate(const MachineProfile& base, const Measurements& measured,
                                          const std::string& name, const std::string& note,
                                          Share share = Share::kAll);

}  // namespace apb::sim
