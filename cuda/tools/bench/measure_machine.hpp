#pragma once
/// \file
/// What a machine profile is made of, and the peer's times.

#include <string>

#include "cuda/tools/bench/announcer.hpp"
#include "cuda/tools/bench/bench_results.hpp"

namespace apb::cuda {

/// Adds the products of all models' layers, and attention with the heads of the first.
void measure_machine(const std::vector<ModelShape>& models, BenchResults& results,
                     const Announcer& announce);

/// Adds what cuDNN takes for the same attention calls, and for Full's at every length.
/// \param python a Python program, perhaps with PyTorch
void measure_peer(const std::string& python, BenchResults& results);

}  // namespace apb::cuda
