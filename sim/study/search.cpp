#include "sim/study/search.hpp"

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/sweep.hpp"
#include "sim/work/lengths.hpp"

namespace apb::sim {
namespace {

constexpr int kShifts = 40;

/// Whether the constraints allow a result.
bool allowed(const SearchRequest& request, const MachineModel& machine,
             const SearchResult& result) {
  const Prediction& prediction = result.prediction;
  const auto needed = static_cast<double>(prediction.memory.total());
  if (needed > request.max_memory_bytes.value_or(machine.profile().memory_bytes.number))
    return false;
  if (request.max_seconds && prediction.time_to_first_token().number > *request.max_seconds) {
    return false;
  }
  return !request.min_quality || (result.quality && *result.quality >= *request.min_quality);
}

/// What CandidateMaker makes a job from; lengths below 0 are the usual ones.
struct Candidate {
  SimMethod method = SimMethod::kFull;
  Index ranks = 1;
  Index tensor_parallel = 1;
  Index anchor_len = -1;
  Index num_kept = -1;
};

std::vector<Candidate> candidates_of(const SearchRequest& request, const CandidateMaker& job_of) {
  std::vector<Candidate> candidates;
  for (const SimMethodEntry& entry : kSimMethods) {
    if (!entry.exact && !request.approximate) continue;
    const Index most_ranks = entry.division == Division::kOneRank ? 1 : request.max_gpus;
    for (Index ranks = 1; ranks <= most_ranks; ranks *= 2) {
      for (Index tp = 1; ranks * tp <= request.max_gpus; tp *= 2) {
        if (entry.division == Division::kHeads && tp > 1)
          break;  // its ranks are tensor-parallel already
        candidates.push_back({entry.method, ranks, tp, -1, -1});
        if (entry.method != SimMethod::kApb || ranks == 1) continue;
        const ApbConfig usual = job_of(entry.method, ranks, tp, -1, -1).lengths;
        const Index block = usual.resolved_block_lens().front();
        for (const Index anchor_part : {8, 4, 2, 1}) {
          for (const Index kept_part : {4, 2, 1}) {
            const Index anchor = block / anchor_part;
            const Index kept = anchor / kept_part;
            if (anchor == usual.anchor_len && kept == usual.num_kept) continue;  // is there
            candidates.push_back({entry.method, ranks, tp, anchor, kept});
          }
        }
      }
    }
  }
  return candidates;
}

}  // namespace

std::vector<SearchResult> search(const MachineModel& machine, const SearchRequest& request,
                                 const CandidateMaker& job_of) {
  const std::vector<Candidate> candidates = candidates_of(request, job_of);
  std::vector<std::optional<SearchResult>> found(candidates.size());
  parallel_for(static_cast<Index>(candidates.size()), [&](Index i) {
    const auto& [method, ranks, tp, anchor, kept] = candidates[static_cast<std::size_t>(i)];
    try {
      SearchResult result{job_of(method, ranks, tp, anchor, kept), {}, 0, std::nullopt};
      if (num_gpus(result.job) > request.max_gpus) return;
      result.prediction = predict_first_token(machine, result.job);
      const ApbConfig& lengths = result.job.lengths;
      result.cost =
          cost_per_million_tokens(result.prediction.time_to_first_token(), num_gpus(result.job),
                                  lengths.doc_len * result.job.batch, request.price_per_gpu_hour);
      if (request.quality != nullptr) result.quality = request.quality->score_of(result.job);
      if (allowed(request, machine, result)) {
        found[static_cast<std::size_t>(i)] = std::move(result);
      }
    } catch (const BadInput&) {
      return;  // not a configuration of this method
    }
  });
  std::vector<SearchResult> results;
  for (std::optional<SearchResult>& one : found) {
    if (one) results.push_back(std::move(*one));
  }
  const auto better = [&](const SearchResult& a, const SearchResult& b) {
    const double time_a = a.prediction.time_to_first_token().number;
    const double time_b = b.prediction.time_to_first_token().number;
    return request.goal == Goal::kCost && a.cost != b.cost ? a.cost < b.cost : time_a < time_b;
  };
  std::stable_sort(results.begin(), results.end(), better);
  return results;
}

Job balanced(const MachineModel& machine, const Job& job) {
  const SimMethodEntry& entry = entry_of(job.method);
  if (entry.division != Division::kDocument || reference_entry(entry).cuts_alone ||
      job.lengths.num_ranks == 1) {
    return job;
  }
  Job best = job;
  Job shifted = job;
  Prediction now = predict_first_token(machine, job);
  Seconds least = now.prefill;
  for (int i = 0; i < kShifts; ++i) {
    std::vector<double> busy;
    for (const RankTime& rank : now.ranks) busy.push_back(rank.busy().number);
    shift_blocks(shifted, busy);
    try {
      now = predict_first_token(machine, shifted);
    } catch (const BadInput&) {
      break;  // the anchor no longer fits into rank 0's block
    }
    if (now.prefill < least) {
      least = now.prefill;
      best = shifted;
    }
  }
  return best;
}

}  // namespace apb::sim
