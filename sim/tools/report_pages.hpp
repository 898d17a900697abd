#pragma once
/// \file
/// What `--html` writes: predictions gathered into a report page.

#include "sim/study/comparison.hpp"
#include "sim/study/sensitivity.hpp"
#include "sim/study/sweep.hpp"
#include "sim/tools/question.hpp"

namespace apb::sim {

/// Methods side by side at the last comparison's length and ranks: parts, speedup over length,
/// timeline of APB, Pareto front over methods and ranks, what moves APB's time.
void write_comparison_page(const Question& question, const MachineModel& machine,
                           const JobMaker& job_of, const std::vector<Comparison>& comparisons);

/// One configuration: its parts beside the others', its timeline, what moves it.
void write_prediction_page(const Question& question, const MachineModel& machine, const Job& job);

/// What moves one configuration.
void write_sensitivity_page(const Question& question, const MachineModel& machine, const Job& job,
                            const Sensitivity& sensitivity);

/// A sweep's points and front.
void write_sweep_page(const Question& question, const MachineModel& machine,
                      const std::vector<SweepPoint>& points, const std::vector<Index>& front,
                      const GridJob& job_of);

}  // namespace apb::sim
