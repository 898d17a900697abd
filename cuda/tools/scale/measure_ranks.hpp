#pragma once
/// \file
/// Measures exchanges, layers and prefills on all ranks of a run. Every call is collective.

#include "cuda/multi/method_layer.hpp"
#include "cuda/tools/scale/scale_results.hpp"
#include "cuda/tools/scale/together.hpp"

namespace apb::cuda {

/// Methods in the order in which they are measured.
inline constexpr std::array kScaledMethods{
    "full", "tensor_parallel", "ulysses", "all_gather", "zigzag_ring", "star", "apb"};

/// The slowest rank's times, and what arrived wrong anywhere.
[[nodiscard]] std::vector<ExchangeTime> slowest_of(const ExchangeTimes& mine,
                                                   const Together& together);

/// One layer: whole, its computing with silent partners, its exchange by itself. One for which
/// memory does not suffice on some rank, or that cannot deal out its heads, is marked so.
[[nodiscard]] ScaledLayer measure_layer(const std::string& method, const ApbConfig& apb,
                                        const DeviceModel<Bfloat16>& model, Partners& partners,
                                        const Together& together);

/// A prefill of all layers of the model, and some tokens of an answer.
/// \param method "full", on rank 0 alone, or "apb"
/// \param model  with embeddings and final norm
[[nodiscard]] ScaledPrefill measure_prefill(const std::string& method, const ApbConfig& apb,
                                            const DeviceModel<Bfloat16>& model, Partners& partners,
                                            const Together& together);

}  // namespace apb::cuda
