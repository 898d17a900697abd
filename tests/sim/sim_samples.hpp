#pragma once
/// \file
/// Machines and jobs for the simulator's tests.

#include "sim/machine/machine_model.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/work/lengths.hpp"

namespace apb::sim {

/// Round numbers and no tables: 100 TFLOP/s, 1 TB/s, half of the peak everywhere, links of 100
/// GB/s, 8 GPUs a node; nothing else costs time.
[[nodiscard]] MachineProfile round_machine();

/// Llama-3.1-8B's sizes.
[[nodiscard]] ModelSizes llama_8b();

/// A job with the lengths that its method is usually run with.
[[nodiscard]] Job usual_job(SimMethod method, Index doc_len, int num_ranks);

}  // namespace apb::sim
