// The reference over MPI equals the reference in one process, bit for bit.
//
// Run as `mpiexec -n N mpi_equals_local`. Rank 0 runs every document with all N ranks as threads of
// its own and sends each process what its rank should get. Every process then runs its rank over
// MPI, with 1 and with 2 threads, and must get the same bits. (The communicators themselves
// are compared first, message by message.) All processes exit alike: 0 if nothing differs anywhere,
// else 1.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <string>
#include <vector>

#include "reference/comm/mpi_communicator.hpp"
#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"
#include "reference/core/plans/method_list.hpp"
#include "reference/core/weights/toy_model.hpp"
#include "reference/model/decode.hpp"
#include "tests/comm/exercise.hpp"
#include "tests/comm/outcome.hpp"
#include "tests/model/model_system.hpp"
#include "tests/support/adapted_config.hpp"

namespace apb {
namespace {

constexpr int kExerciseRounds = 40;
constexpr int kMaxLinesPrinted = 10;

/// Counts comparisons and names the first that fail.
class Tally {
 public:
  explicit Tally(int rank) : rank_(rank) {}

  void expect(bool same, const std::string& what) {
    ++comparisons_;
    if (same) return;
    ++differences_;
    if (differences_ <= kMaxLinesPrinted) fmt::print(stderr, "rank {}: {} differs\n", rank_, what);
  }

  /// Sums over all ranks: {comparisons, differences}. Collective.
  [[nodiscard]] std::array<std::int64_t, 2> total(Communicator& world) const {
    const std::vector<std::int64_t> mine{comparisons_, differences_};
    const std::vector<std::size_t> counts(static_cast<std::size_t>(world.num_ranks()), 2);
    std::array<std::int64_t, 2> sums{};
    const auto all = world.all_gather<std::int64_t>(mine, counts);
    for (std::size_t i = 0; i < all.size(); ++i) sums[i % 2] += all[i];
    return sums;
  }

 private:
  int rank_;
  std::int64_t comparisons_ = 0;
  std::int64_t differences_ = 0;
};

struct ExerciseOutcome {
  std::vector<Received> rounds;
  std::int64_t bytes_received = 0;
  std::int64_t bytes_sent = 0;
};

ExerciseOutcome run_exercise(Communicator& communicator) {
  ExerciseOutcome outcome;
  for (int round = 0; round < kExerciseRounds; ++round) {
    outcome.rounds.push_back(exercise(round, communicator));
  }
  outcome.bytes_received = communicator.bytes_received();
  outcome.bytes_sent = communicator.bytes_sent();
  return outcome;
}

void compare_exercise(Communicator& world, Tally& tally) {
  const auto local = on_local_ranks(world.num_ranks(), run_exercise);
  const ExerciseOutcome& own = local[static_cast<std::size_t>(world.rank())];
  const std::int64_t received_before = world.bytes_received();
  const std::int64_t sent_before = world.bytes_sent();
  const ExerciseOutcome mpi = run_exercise(world);
  for (std::size_t round = 0; round < own.rounds.size(); ++round) {
    const auto at = [&](const char* call) { return fmt::format("{} of round {}", call, round); };
    const Received& a = mpi.rounds[round];
    const Received& b = own.rounds[round];
    tally.expect(a.gathered == b.gathered, at("all_gather"));
    tally.expect(a.exchanged == b.exchanged, at("all_to_all"));
    tally.expect(a.from_below == b.from_below, at("send_recv around the ring"));
    tally.expect(a.from_last == b.from_last, at("send_recv to rank 0"));
    tally.expect(a.broadcasted == b.broadcasted, at("broadcast"));
  }
  tally.expect(mpi.bytes_received - received_before == own.bytes_received, "bytes received");
  tally.expect(mpi.bytes_sent - sent_before == own.bytes_sent, "bytes sent");
}

template <class Scalar>
Outcome run_case(const ModelCase& work, const ModelWeights<Scalar>& weights,
                 Communicator& communicator) {
  const BlockLayout layout = layout_of(work);
  const RankContext context{work.config, layout, communicator};
  PrefillResult<Scalar> prefilled = prefill_rank(work, weights, communicator);
  Outcome outcome;
  outcome.add("hidden", prefilled.hidden);
  outcome.add("query", prefilled.query_hidden);
  outcome.add("counters", prefilled.counters);
  outcome.add("prefilled", prefilled.cache);
  for (const Selection<Scalar>& selected : prefilled.selections) {
    outcome.add("importance", selected.importance);
    std::vector<Index> kept;  // of all heads, each with its number before it
    for (const auto& positions : selected.kept_positions) {
      kept.push_back(std::ssize(positions));
      kept.insert(kept.end(), positions.begin(), positions.end());
    }
    outcome.add("kept positions", kept);
  }
  std::vector<Index> positions;
  for (Index doc_pos = 1; doc_pos < work.config.doc_len; doc_pos += 3) positions.push_back(doc_pos);
  outcome.add("document_nll",
              document_nll(weights, context, prefilled.hidden, work.document, positions));
  const std::vector<int>& query = work.embedded_query;
  outcome.add("teacher_forced",
              teacher_forced(work.method, context, weights, prefilled, query, {4, 5}));
  outcome.add("greedy_decode", greedy_decode(work.method, context, weights, prefilled, query, 4));
  outcome.add("decoded", prefilled.cache);
  return outcome;
}

void compare_outcomes(const Outcome& found, const Outcome& expected, const std::string& what,
                      Tally& tally) {
  tally.expect(found.same_sizes(expected), what + "the size of a quantity");
  for (std::size_t i = 0; i < found.size(); ++i) {
    tally.expect(found.same(i, expected), what + found.name(i));
  }
}

/// Lengths that ranks do not divide; equal, uneven and empty blocks; both conventions.
std::vector<ApbConfig> layouts(int num_ranks) {
  RandomTensors random(1);
  std::vector<Index> last_only(static_cast<std::size_t>(num_ranks));
  last_only.back() = 37;
  std::vector<ApbConfig> all(5);
  for (ApbConfig& config : all) {
    config.doc_len = 37;
    config.num_ranks = num_ranks;
    config.query_len = config.embedded_query_len = 3;
    config.seed = 5;
  }
  all[0].doc_len = 0;
  all[1].doc_len = 1;
  all[3].block_lens = random.split(37, num_ranks);
  all[4].block_lens = last_only;
  for (ApbConfig& config : all) {
    config.anchor_len = std::min<Index>(config.resolved_block_lens().front(), 5);
  }
  if (all[2].anchor_len >= 4) {
    all[2].anchor_convention = AnchorConvention::kOfficial;
    all[2].query_insert_at = 1;
  }
  return all;
}

struct MethodChoice {
  Method method;
  Compressor compressor;
};

/// Whether a method can select by a compressor.
bool takes(const MethodEntry& entry, Compressor compressor) {
  ApbConfig config;
  config.query_len = config.embedded_query_len = 1;
  config.compressor = compressor;
  try {
    (void)entry.config(config);
    return true;
  } catch (const BadInput&) {
    return false;
  }
}

/// Every method, with every compressor that it can select by.
std::vector<MethodChoice> choices() {
  std::vector<MethodChoice> all;
  for (const MethodEntry& entry : kMethodList) {
    all.push_back({entry.method, Compressor::kNone});
    if (!entry.selects) continue;
    for (const Compressor compressor : {Compressor::kQueryAware, Compressor::kRandom,
                                        Compressor::kRecent, Compressor::kRetainingHead}) {
      if (takes(entry, compressor)) all.push_back({entry.method, compressor});
    }
  }
  return all;
}

template <class Scalar>
void compare_models(Communicator& world, Tally& tally) {
  auto weights = toy_weights<Scalar>(2);
  weights.retaining_heads = random_retaining_heads<Scalar>(weights.shape, 20, 3);
  add_random_biases(weights, 4);
  for (const ApbConfig& given : layouts(world.num_ranks())) {
    for (const auto& [method, compressor] : choices()) {
      ApbConfig config = adapted_to(method, given);
      config.compressor = compressor;
      config.num_kept = compressor == Compressor::kNone ? 0 : 4;
      config.ape_temperature = 0.9;
      config.ape_scale = 0.8;
      const ModelCase work = make_model_case(method, config, weights, 3);
      std::vector<Outcome> local;
      if (world.rank() == 0) {
        local = on_local_ranks(world.num_ranks(), [&](Communicator& communicator) {
          return run_case(work, weights, communicator);
        });
      }
      const Outcome expected = Outcome::from_rank_0(local, world);
      for (const int threads : {1, 2}) {
        set_num_threads(threads);
        const std::string name = fmt::format(
            "{} {} {} of {} tokens in [{}], {} threads: ", sizeof(Scalar) == 4 ? "float" : "double",
            to_string(method), to_string(compressor), config.doc_len,
            fmt::join(config.resolved_block_lens(), ", "), threads);
        compare_outcomes(run_case(work, weights, world), expected, name, tally);
      }
    }
  }
}

/// \returns the exit status, the same on all ranks
int compare_all(Communicator& world) {
  Tally tally(world.rank());
  compare_exercise(world, tally);
  compare_models<float>(world, tally);
  compare_models<double>(world, tally);
  const auto [comparisons, differences] = tally.total(world);
  if (world.rank() == 0) {
    fmt::print("mpi_equals_local: {} ranks, {} comparisons, {} differences\n", world.num_ranks(),
               comparisons, differences);
  }
  return comparisons > 0 && differences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace apb

int main() {
  apb::MpiSession session;
  try {
    return apb::compare_all(session.world());
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank {}: {}\n", session.world().rank(), error.what());
    session.abort(3);
  }
}
