#include "sim/validate/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/methods/segments.hpp"

namespace apb::sim {
namespace {

Job job_of_row(const ValidationSet& set, const ModelSizes& model, const PrefillSetting& row) {
  Job job;
  set_model(job, model);
  job.method = parse_sim_method(row.method);
  job.attention_backend = set.backend;
  job.overlap = row.overlap.value_or(set.overlap);
  job.captured = set.captured;
  job.all_logits = set.all_logits;
  job.lengths.doc_len = row.doc_len;
  job.lengths.num_ranks = static_cast<int>(row.ranks);
  job.lengths.query_len = set.query_len;
  job.lengths.anchor_len = row.anchor_len;
  job.lengths.num_kept = row.num_kept;
  const bool passes = entry_of(job.method).passes;
  job.lengths.compressor = passes ? Compressor::kRetainingHead : Compressor::kNone;
  return job;
}

Cell prefill_cell(const ValidationSet& set, const MachineModel& machine, const ModelSizes& model,
                  const PrefillRow& row) {
  const Job job = job_of_row(set, model, row);
  const Prediction prediction = predict(machine, job);
  Cell cell;
  cell.what = std::string(entry_of(job.method).title);
  cell.method = row.method;
  cell.doc_len = row.doc_len;
  cell.measured = row.measured;
  cell.predicted = prediction.prefill;
  cell.band = band_around(prediction.prefill, prediction.spread);
  cell.fit = prediction.fit;
  return cell;
}

/// What the slowest rank computes in all layers.
Seconds without_exchanges(const Prediction& prediction) {
  Seconds slowest{};
  for (const RankTime& rank : prediction.ranks) {
    const Seconds exchange = rank.parts.at(static_cast<std::size_t>(Part::kCommunication));
    slowest = std::max(slowest,
                       std::accumulate(rank.parts.begin(), rank.parts.end(), Seconds{}) - exchange);
  }
  return slowest;
}

Cell layer_cell(const ValidationSet& set, const MachineModel& machine, const ModelSizes& model,
                const LayerRow& row) {
  Job job = job_of_row(set, model, row);
  job.captured = true;  // timed kernels, launched back to back
  const Prediction prediction = predict(machine, job);
  const Seconds all_layers =
      row.with_exchanges ? prediction.prefill : without_exchanges(prediction);
  Cell cell;
  cell.what = fmt::format("{}, a layer", entry_of(job.method).title);
  cell.method = row.method;
  cell.doc_len = row.doc_len;
  cell.measured = row.measured;
  cell.predicted = (1 / static_cast<double>(model.num_layers)) * all_layers;
  cell.band = band_around(cell.predicted, prediction.spread);
  return cell;
}

/// The attention of one APB rank by itself.
Cell attention_cell(const MachineModel& machine, const ModelSizes& model, const AttentionRow& row) {
  Job job;
  set_model(job, model);
  job.attention_backend = row.backend;
  job.captured = true;  // timed kernels, launched back to back
  LayerPlan plan;
  PlanBuilder builder(job, 1, 1, plan);
  const AttentionTable* table = machine.backend_table(machine.backend(row.backend));
  const SegmentStyle style{table != nullptr && table->fused_segments, false, false};
  attend_all(builder, 0, {row.anchor_len, row.anchor_len, row.block_len, row.rank * row.num_kept},
             style);
  TimedLayer layer(machine, job, plan);
  Cell cell;
  cell.what = fmt::format("{}, rank {}", row.backend, row.rank);
  cell.measured = row.measured;
  cell.predicted = layer.run(1);
  cell.band = band_around(
      cell.predicted,
      spread_of(layer.ranks().front(), sum_of(layer.provenance()), machine.profile().spread));
  return cell;
}

void add_parts(const ValidationSet& set, const MachineModel& machine, const ModelSizes& model,
               const PartsRow& row, Replay& result) {
  const Job job = job_of_row(set, model, row);
  const Prediction prediction = predict(machine, job);
  const double layers = static_cast<double>(model.num_layers);
  for (const auto& [name, measured] : row.parts) {
    // A breakdown with barriers shows the slowest rank of every part. What it calls others holds
    // selection and launches too.
    Seconds longest{};
    for (const RankTime& rank : prediction.ranks) {
      const auto part = std::find(kPartNames.begin(), kPartNames.end(), name) - kPartNames.begin();
      Seconds time = rank.parts.at(static_cast<std::size_t>(part));
      if (name == "others" && !set.captured)
        time += rank.host + rank.parts.at(static_cast<std::size_t>(Part::kSelection));
      longest = std::max(longest, time);
    }
    result.parts.push_back({row.method, name, measured, (1 / layers) * longest});
  }
}

/// Every two cells of one length must be ordered as measured.
void check_order(Replay& result) {
  for (const Cell& a : result.cells) {
    for (const Cell& b : result.cells) {
      if (a.doc_len != b.doc_len || !a.measured || !b.measured) continue;
      if (*a.measured < *b.measured && !(a.predicted < b.predicted)) {
        result.wrong_order.push_back(
            fmt::format("{} before {} at {} tokens", a.what, b.what, a.doc_len));
      }
    }
  }
}

void check_bounds(const ValidationSet& set, Replay& result) {
  const auto at_most = [&](std::string_view what, double value, double bound) {
    if (!(value <= bound)) {
      result.broken.push_back(
          fmt::format("{} is {:.1f} %, allowed are {:.1f} %", what, 100 * value, 100 * bound));
    }
  };
  at_most("the mean error", result.mean_error, set.bounds.mean_error);
  at_most("the worst error", result.worst_error, set.bounds.worst_error);
  at_most("the median band's half width", result.half_width, set.bounds.half_width);
  at_most("the share of times outside their band", 1 - result.coverage, 1 - set.bounds.coverage);
  for (const std::string& pair : result.wrong_order) {
    result.broken.push_back("measured in another order: " + pair);
  }
  for (const Cell& cell : result.cells) {
    if (cell.memory_agrees()) continue;
    result.broken.push_back(fmt::format("{} at {} tokens: {}, but it {}", cell.what, cell.doc_len,
                                        to_string(*cell.fit),
                                        cell.measured ? "ran" : "ran out of memory"));
  }
}

/// \throws BadInput naming the row that cannot be
template <class Row, class Use>
void each_row(const ValidationSet& set, std::string_view list, const std::vector<Row>& rows,
              const Use& use) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    try {
      use(rows[i]);
    } catch (const BadInput& refusal) {
      throw BadInput(fmt::format("{}: {}[{}]: {}", set.file, list, i, refusal.what()));
    }
  }
}

}  // namespace

Replay replay(const ValidationSet& set, const MachineModel& machine, const ModelSizes& model) {
  Replay result;
  each_row(set, "prefill", set.prefill, [&](const PrefillRow& row) {
    result.cells.push_back(prefill_cell(set, machine, model, row));
  });
  each_row(set, "attention", set.attention, [&](const AttentionRow& row) {
    result.cells.push_back(attention_cell(machine, model, row));
  });
  each_row(set, "layers", set.layers, [&](const LayerRow& row) {
    result.cells.push_back(layer_cell(set, machine, model, row));
  });
  each_row(set, "parts", set.parts,
           [&](const PartsRow& row) { add_parts(set, machine, model, row, result); });

  std::vector<double> widths;
  double inside = 0;
  for (const Cell& cell : result.cells) {
    if (!cell.measured) continue;
    widths.push_back(cell.band.half_width());
    inside += cell.band.holds(*cell.measured) ? 1 : 0;
    result.mean_error += std::abs(cell.error());
    result.worst_error = std::max(result.worst_error, std::abs(cell.error()));
  }
  if (!widths.empty()) {
    const auto timed = static_cast<double>(widths.size());
    result.mean_error /= timed;
    result.coverage = inside / timed;
    std::nth_element(widths.begin(),
                     widths.begin() + static_cast<std::ptrdiff_t>(widths.size() / 2), widths.end());
    result.half_width = widths[widths.size() / 2];
  }
  if (set.order_counts) check_order(result);
  check_bounds(set, result);
  return result;
}

}  // namespace apb::sim
