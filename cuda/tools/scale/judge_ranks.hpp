#pragma once
/// \file
/// Judges what several ranks compute together, before it is timed.

#include "cuda/benchmarks/block_layer.hpp"
#include "cuda/multi/method_layer.hpp"
#include "cuda/tools/scale/together.hpp"

namespace apb::cuda {

/// How far a layer's result may be from Full's, as |difference| / |result| of a row: both round
/// every product to bf16 (2^-9 of a value), in other orders. A wrong part of a matrix or a row in
/// the wrong place gives 0.1 and more.
inline constexpr double kMostFromFull = 0.02;

/// Runs one layer by every method that is timed and judges it on every rank. Attention of a sample
/// of rows is held to exact attention in double: of exact methods over all keys of the document, as
/// their owners computed them, of Star and APB as `apb verify` does, importance and selection
/// included, with what arrived, whose bits must be those that were sent. What exact methods leave
/// after the layer is held to Full's. Prints what is wrong. Collective.
/// \param methods of kScaledMethods; those that these ranks or this memory cannot run are left out
/// \returns the number of checks on all ranks; 0: something is wrong
[[nodiscard]] Index judge_ranks(const std::vector<std::string>& methods, const ApbConfig& apb,
                                const DeviceModel<Bfloat16>& model, Partners& partners,
                                const Together& together,
                                const std::function<void(const std::string&)>& progress);

}  // namespace apb::cuda
