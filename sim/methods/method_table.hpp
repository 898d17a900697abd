#pragma once
/// \file
/// The methods that are simulated: names, whether the reference runs them too, and the function
/// that plans one layer. One row a method.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/plans/method_list.hpp"
#include "sim/work/plan_builder.hpp"

namespace apb::sim {

void plan_full(const PlanInput& input, PlanBuilder& builder);
void plan_minference(const PlanInput& input, PlanBuilder& builder);
void plan_ring(const PlanInput& input, PlanBuilder& builder);
void plan_zigzag_ring(const PlanInput& input, PlanBuilder& builder);
void plan_all_gather(const PlanInput& input, PlanBuilder& builder);
void plan_ulysses(const PlanInput& input, PlanBuilder& builder);
void plan_star(const PlanInput& input, PlanBuilder& builder);
void plan_apb(const PlanInput& input, PlanBuilder& builder);
void plan_spava(const PlanInput& input, PlanBuilder& builder);

/// How a method uses the ranks it is given.
enum class Division {
  kOneRank,   ///< one rank does all; the others would idle, so there are none
  kHeads,     ///< ranks share heads and feed-forward columns: tensor parallelism
  kDocument,  ///< ranks share the document
};

/// One method.
struct SimMethodEntry {
  SimMethod method;
  std::string_view name;
  std::string_view title;
  Division division;
  bool exact;                       ///< the same attention as one GPU that sees everything
  bool anchored;                    ///< has an anchor block
  bool passes;                      ///< keeps entries and passes them on
  bool overlaps;                    ///< has compute that may run beside its exchanges
  double overlap;                   ///< share of its exchange that hides, as it is usually run
  std::optional<Method> reference;  ///< whose counters its counts must equal
  void (*plan)(const PlanInput& input, PlanBuilder& builder);
};

// clang-format off
inline constexpr std::array kSimMethods{
    SimMethodEntry{SimMethod::kFull, "full", "Full", Division::kOneRank, true, false, false, false, 0,
                   Method::kFull, plan_full},
    SimMethodEntry{SimMethod::kTensorParallel, "tensor_parallel", "Tensor parallel", Division::kHeads, true, false, false, false, 0,
                   std::nullopt, plan_full},
    SimMethodEntry{SimMethod::kMInference, "minference", "MInference", Division::kOneRank, false, false, false, false, 0,
                   std::nullopt, plan_minference},
    SimMethodEntry{SimMethod::kRing, "ring", "Ring", Division::kDocument, true, false, false, true, 1,
                   Method::kRing, plan_ring},
    SimMethodEntry{SimMethod::kZigzagRing, "zigzag_ring", "Zigzag Ring", Division::kDocument, true, false, false, true, 1,
                   Method::kZigzagRing, plan_zigzag_ring},
    SimMethodEntry{SimMethod::kAllGather, "all_gather", "All-gather", Division::kDocument, true, false, false, false, 0,
                   Method::kAllGather, plan_all_gather},
    SimMethodEntry{SimMethod::kUlysses, "ulysses", "Ulysses", Division::kDocument, true, false, false, false, 0,
                   Method::kUlysses, plan_ulysses},
    SimMethodEntry{SimMethod::kStar, "star", "Star", Division::kDocument, false, true, false, false, 0,
                   Method::kStar, plan_star},
    SimMethodEntry{SimMethod::kApe, "ape", "APE", Division::kDocument, false, true, false, false, 0,
                   Method::kApe, plan_star},
    SimMethodEntry{SimMethod::kApb, "apb", "APB", Division::kDocument, false, true, true, true, 0,
                   Method::kApb, plan_apb},
    SimMethodEntry{SimMethod::kSpava, "spava", "Spava", Division::kDocument, false, true, true, true, 1,
                   Method::kSpava, plan_spava},
};
// clang-format on

[[nodiscard]] constexpr const SimMethodEntry& entry_of(SimMethod method) {
  return kSimMethods.at(static_cast<std::size_t>(method));
}
/// The reference's row of a method that the reference has.
[[nodiscard]] constexpr const MethodEntry& reference_entry(const SimMethodEntry& entry) {
  return apb::entry_of(*entry.reference);
}
[[nodiscard]] consteval bool sim_methods_in_order() {
  for (std::size_t i = 0; i < kSimMethods.size(); ++i) {
    if (kSimMethods.at(i).method != static_cast<SimMethod>(i)) return false;
  }
  return true;
}
static_assert(sim_methods_in_order(), "kSimMethods and SimMethod have different orders");

/// Names of all: "full, tensor_parallel, ...".
[[nodiscard]] std::string sim_method_names();

[[nodiscard]] bool is_sim_method(std::string_view name);
/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] SimMethod parse_sim_method(std::string_view name);

/// The configuration that the method really runs. \throws BadInput for what it cannot do
[[nodiscard]] ApbConfig config_of(const Job& job);

/// Who holds what. \param config made by config_of
[[nodiscard]] BlockLayout layout_of(const Job& job, const ApbConfig& config);

/// GPUs that share heads: those of the job, and the ranks too in tensor parallelism.
[[nodiscard]] Index heads_shared_by(const Job& job);

/// What the ranks do in one layer of prefill.
/// \param config made by config_of
/// \param piece  of the document, if it goes through a pipeline in pieces; else all of it
/// \param each_ring_step as PlanInput has it
[[nodiscard]] LayerPlan plan_layer(const Job& job, const ApbConfig& config, SegmentStyle style,
                                   const Chunk& piece, bool each_ring_step = false);

}  // namespace apb::sim
