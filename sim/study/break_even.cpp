#include "sim/study/break_even.hpp"

#include <array>
#include <cmath>
#include <map>
#include <mutex>

#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

constexpr std::array kApproximate{SimMethod::kStar, SimMethod::kApb, SimMethod::kSpava};
constexpr std::array kExact{SimMethod::kTensorParallel, SimMethod::kUlysses, SimMethod::kAllGather,
                            SimMethod::kZigzagRing};

/// Whether APB is faster than every exact method that fits.
bool apb_wins(const MachineModel& machine, const JobMaker& job_of, Index doc_len, Index ranks) {
  std::array<std::optional<Seconds>, kSimMethods.size()> times;  // of APB, and of what fits
  parallel_for(static_cast<Index>(kSimMethods.size()), [&](Index i) {
    const SimMethodEntry& entry = kSimMethods.at(static_cast<std::size_t>(i));
    if (!entry.exact && entry.method != SimMethod::kApb) return;
    try {
      const Prediction prediction =
          predict_first_token(machine, job_of(entry.method, doc_len, ranks));
      if (entry.exact && prediction.fit == Fit::kOutOfMemory) return;
      times.at(static_cast<std::size_t>(i)) = prediction.time_to_first_token();
    } catch (const BadInput&) {
      return;  // this method cannot do it
    }
  });
  const auto apb = times.at(static_cast<std::size_t>(SimMethod::kApb));
  if (!apb) return false;
  std::optional<Seconds> exact;
  for (const SimMethodEntry& entry : kSimMethods) {
    const auto& time = times.at(static_cast<std::size_t>(entry.method));
    if (entry.exact && time && (!exact || *time < *exact)) exact = time;
  }
  return exact && less_beyond_rounding(*apb, *exact);
}

}  // namespace

std::vector<BreakEven> break_even_lengths(const MachineModel& machine, const JobMaker& job_of,
                                          Index ranks) {
  std::map<std::pair<SimMethod, Index>, Seconds> known;  // several pairs ask for the same
  std::mutex knowing;
  const auto time_of = [&](SimMethod method) -> TimeOfLength {
    return [&, method](Index doc_len) {
      const std::pair asked{method, doc_len};
      {
        const std::scoped_lock lock(knowing);
        if (const auto entry = known.find(asked); entry != known.end()) return entry->second;
      }
      const Seconds time =
          predict_first_token(machine, job_of(method, doc_len, ranks)).time_to_first_token();
      const std::scoped_lock lock(knowing);
      return known[asked] = time;
    };
  };
  std::vector<BreakEven> pairs;
  for (const SimMethod approximate : kApproximate) {
    for (const SimMethod exact : kExact) pairs.push_back({approximate, exact, true, std::nullopt});
  }
  parallel_for(static_cast<Index>(pairs.size()), [&](Index i) {
    BreakEven& pair = pairs[static_cast<std::size_t>(i)];
    try {
      pair.doc_len =
          break_even_length(time_of(pair.approximate), time_of(pair.exact), kLongestBreakEven);
    } catch (const BadInput&) {
      pair.both_run = false;
    }
  });
  return pairs;
}

NicBreakEven break_even_nic(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                            Index ranks) {
  const auto wins = [&](double bytes_per_s) {
    MachineProfile changed = machine.profile();
    changed.nic_bytes_per_s = {bytes_per_s, Provenance::kAssumed, "break-even"};
    return apb_wins(MachineModel(std::move(changed)), job_of, doc_len, ranks);
  };
  double low = kSlowestNic;
  double high = kFastestNic;
  NicBreakEven result{wins(low), wins(high), std::nullopt};
  if (result.apb_wins_slow == result.apb_wins_fast) return result;
  while (high / low > 1.02) {
    const double middle = std::sqrt(low * high);
    (wins(middle) == result.apb_wins_slow ? low : high) = middle;
  }
  result.bytes_per_s = high;
  return result;
}

}  // namespace apb::sim
