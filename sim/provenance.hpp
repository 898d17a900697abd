#pragma once
/// \file
/// Where a number comes from. Every number of a profile carries it, every prediction inherits the
/// worst of what it was made from.

#include <array>
#include <string>
#include <string_view>

namespace apb::sim {

/// In order of doubt.
enum class Provenance {
  kMeasured,      ///< by this project, or by the user's own benchmark
  kPublished,     ///< a measurement that somebody else published
  kInterpolated,  ///< between measured or published points
  kDatasheet,     ///< the maker's figure
  kExtrapolated,  ///< beyond the points that there are
  kAssumed,       ///< a rule of thumb; its source says whose
};

inline constexpr std::array<std::string_view, 6> kProvenanceNames{
    "measured", "published", "interpolated", "datasheet", "extrapolated", "assumed"};

[[nodiscard]] constexpr std::string_view to_string(Provenance provenance) {
  return kProvenanceNames.at(static_cast<std::size_t>(provenance));
}

[[nodiscard]] constexpr Provenance worse(Provenance a, Provenance b) {
  return a < b ? b : a;
}

/// A number with its provenance and the name of its source (MachineProfile::sources).
struct SourcedValue {
  double number = 0;
  Provenance provenance = Provenance::kAssumed;
  std::string source;
};

}  // namespace apb::sim
