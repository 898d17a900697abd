#pragma once
/// \file
/// Measures one layer of one model at one length, rank by rank on the one GPU.

#include <functional>

#include "cuda/tools/bench/bench_results.hpp"

namespace apb::cuda {

/// Units of the retaining heads, as the paper trains them.
inline constexpr Index kRetainingHidden = 1024;

/// What is measured at every length.
struct LengthQuestion {
  Index doc_len = 0;
  int num_ranks = 1;
  Link link;
};

/// The paper's shares: anchor a quarter and kept entries an eighth of a block; retaining heads.
[[nodiscard]] ApbConfig paper_config(const ModelShape& shape, const LengthQuestion& question);

/// The same without anchor and passing on one rank; and Star's, whose anchor is as long as a block.
[[nodiscard]] ApbConfig full_config_of(const ApbConfig& apb);
[[nodiscard]] ApbConfig star_config_of(const ApbConfig& apb);

/// All methods. One for which memory does not suffice is marked so, and the others go on.
/// \param model    one layer with retaining heads
/// \param progress told what comes next
[[nodiscard]] LengthTimes measure_length(const DeviceModel<Bfloat16>& model,
                                         const LengthQuestion& question,
                                         const std::function<void(const std::string&)>& progress);

}  // namespace apb::cuda
