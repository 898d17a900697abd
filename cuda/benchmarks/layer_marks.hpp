#pragma once
/// \file
/// What a layer's time goes into, from events between its parts.

#include <array>
#include <deque>

#include "cuda/model/transformer.hpp"

namespace apb::cuda {

/// Names of LayerPart's values, in order.
inline constexpr std::array<const char*, kNumLayerParts> kLayerPartNames{
    "norms", "qkv", "rope", "scores", "select", "wait", "attend", "output", "ffn", "swiglu"};

/// One run of a layer.
struct LayerRun {
  std::array<double, kNumLayerParts> part_s{};
  double total_s = 0;

  [[nodiscard]] double of(LayerPart part) const {
    return part_s.at(static_cast<std::size_t>(part));
  }
  /// All but attention and products; a compressor's scores are mostly a product.
  [[nodiscard]] double small_steps_s() const {
    return of(LayerPart::kNorms) + of(LayerPart::kRope) + of(LayerPart::kSelection) +
           of(LayerPart::kActivation);
  }
};

/// Events of one run.
class LayerMarks {
 public:
  /// Records the beginning.
  explicit LayerMarks(cudaStream_t stream) : stream_(stream) { begin_.record(stream); }
  /// Records the end of a part's work, which began at the mark before.
  void done(LayerPart part) {
    marks_.emplace_back(part, Event());
    marks_.back().second.record(stream_);
  }
  /// Waits for the last mark.
  [[nodiscard]] LayerRun run() const {
    LayerRun run;
    const Event* last = &begin_;
    for (const auto& [part, mark] : marks_) {
      mark.synchronize();
      const double seconds = seconds_between(*last, mark);
      run.part_s.at(static_cast<std::size_t>(part)) += seconds;
      run.total_s += seconds;
      last = &mark;
    }
    return run;
  }

 private:
  cudaStream_t stream_;
  Event begin_;
  std::deque<std::pair<LayerPart, Event>> marks_;
};

}  // namespace apb::cuda
