#pragma once
/// \file
/// Published or measured times that the simulator is held to: configs/validation/NAME.json, in
/// which every row has its source and every bound is stated.

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sim/units.hpp"

namespace apb::sim {

/// What says which prefill a row is about.
struct PrefillSetting {
  std::string method;
  Index ranks = 1;
  Index doc_len = 0;
  Index anchor_len = 0;
  Index num_kept = 0;
  std::optional<double> overlap{};  ///< none: the set's
};

/// A prefill that somebody timed, or that ran out of memory.
struct PrefillRow : PrefillSetting {
  std::optional<Seconds> measured;  ///< none: it ran out of memory
};

/// Parts of one layer on the busiest rank, as a breakdown printed them.
struct PartsRow : PrefillSetting {
  std::vector<std::pair<std::string, Seconds>> parts;  ///< names of kPartNames
};

/// One layer, kernels back to back: the slowest rank.
struct LayerRow : PrefillSetting {
  Seconds measured{};
  bool with_exchanges = false;  ///< by all ranks together; else rank by rank, without them
};

/// One attention kernel, or the pieces that stand for it, on one rank.
struct AttentionRow {
  std::string backend;
  Index rank = 0;
  Index anchor_len = 0;
  Index num_kept = 0;
  Index block_len = 0;
  Seconds measured{};
};

struct Bounds {
  double mean_error = 0;
  double worst_error = 0;
  double coverage = 0;  ///< least share of measured times inside the 80 % band
  double half_width = std::numeric_limits<double>::infinity();  ///< most, of the median band
};

struct ValidationSet {
  std::string file;
  std::string name;
  std::string title;
  std::string source;
  std::vector<std::string> notes;  ///< printed: what is known to be inconsistent in the source
  std::string machine;
  std::string model;
  std::string backend;
  Index query_len = 0;
  bool all_logits = false;  ///< as Job has it
  double overlap = 0;       ///< of every method, as the source ran them
  /// Kernels ran back to back, and events between them tell the parts: selection and launches stand
  /// apart from what is called others.
  bool captured = false;
  bool order_counts = false;  ///< methods of one length must come out in the measured order
  Bounds bounds;
  std::vector<PrefillRow> prefill;
  std::vector<PartsRow> parts;  ///< shown, not judged: what the machine was calibrated on
  std::vector<AttentionRow> attention;
  std::vector<LayerRow> layers;
};

[[nodiscard]] std::vector<std::string> known_validation_sets();

/// \throws BadInput naming file and key
[[nodiscard]] ValidationSet read_validation_set(const std::string& path);
[[nodiscard]] ValidationSet find_validation_set(const std::string& name_or_path);

}  // namespace apb::sim
