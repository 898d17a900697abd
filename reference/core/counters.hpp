#pragma once
/// \file
/// Work that was really done, counted by the code that does it.

#include <array>
#include <cstdint>
#include <string_view>

namespace apb {

/// Work of one rank in one layer of prefill.
///
/// Attention costs 4 head_dim FLOPs for each visible (query row, key) pair and query head; a matrix
/// product of [m, k] and [k, n] costs 2 m n k; softmax, norms and RoPE are not counted. Bytes are
/// payload at the element size really sent.
struct Counters {
  std::int64_t rows_computed = 0;    ///< rows that this rank pushed through the layer
  std::int64_t attention_flop = 0;   ///< scores and weighted values
  std::int64_t projection_flop = 0;  ///< query, key, value, output and feed-forward products
  std::int64_t compressor_flop = 0;  ///< products that score the block for selection
  std::int64_t bytes_received = 0;   ///< payload that came from other ranks
  std::int64_t bytes_sent = 0;       ///< payload that went to other ranks, once per receiver
  std::int64_t nan_scores = 0;  ///< NaN importances met by the selection (reported, ranked last)

  [[nodiscard]] std::int64_t total_flop() const {
    return attention_flop + projection_flop + compressor_flop;
  }

  friend bool operator==(const Counters&, const Counters&) = default;
};

/// One count with the name that it has in files and JSON.
struct CounterField {
  std::string_view name;
  std::int64_t Counters::*count;
};

/// All of them, in order.
inline constexpr std::array kCounterFields{
    CounterField{"rows_computed", &Counters::rows_computed},
    CounterField{"attention_flop", &Counters::attention_flop},
    CounterField{"projection_flop", &Counters::projection_flop},
    CounterField{"compressor_flop", &Counters::compressor_flop},
    CounterField{"bytes_received", &Counters::bytes_received},
    CounterField{"bytes_sent", &Counters::bytes_sent},
    CounterField{"nan_scores", &Counters::nan_scores}};
static_assert(sizeof(Counters) == kCounterFields.size() * sizeof(std::int64_t),
              "a count is missing from kCounterFields");

}  // namespace apb
