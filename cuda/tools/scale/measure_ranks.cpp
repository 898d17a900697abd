#include "cuda/tools/scale/measure_ranks.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>

#include "cuda/comm/loopback.hpp"
#include "cuda/error.hpp"
#include "cuda/model/generate.hpp"

namespace apb::cuda {
namespace {

/// Median, least and most.
Timing timing_of(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

/// [run]: the slowest rank's, where [rank][run] are given.
std::vector<double> slowest(const std::vector<std::vector<double>>& by_rank) {
  std::vector<double> result = by_rank.front();
  for (const auto& its : by_rank) {
    for (std::size_t run = 0; run < result.size(); ++run) {
      result[run] = std::max(result[run], its[run]);
    }
  }
  return result;
}

/// Runs of one piece of work on all ranks, as many on each.
struct RunsOfAll {
  Timing time;
  std::vector<LayerRun> median;  ///< by rank, in the run of median time
  int runs = 0;
};

/// \param once empty on a rank that takes no part
RunsOfAll runs_of_all(const std::function<LayerRun()>& once, const Together& together) {
  constexpr double kBudget_s = 0.6;
  constexpr int kWarm = 2, kLeast = 5, kMost = 20;
  double last_s = 0;
  for (int run = 0; run < kWarm; ++run) last_s = once ? once().total_s : 0;
  const int wanted = std::clamp(static_cast<int>(kBudget_s / together.most(last_s)), kLeast, kMost);
  std::vector<LayerRun> runs(static_cast<std::size_t>(wanted));
  for (LayerRun& run : runs) {
    if (once) run = once();
  }
  const auto all = together.gather(runs);
  std::vector<std::vector<double>> totals;
  for (const auto& its : all) {
    totals.emplace_back();
    for (const LayerRun& run : its) totals.back().push_back(run.total_s);
  }
  const std::vector<double> slowest_s = slowest(totals);
  std::vector<std::size_t> order(slowest_s.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return slowest_s[a] < slowest_s[b]; });
  RunsOfAll result{timing_of(slowest_s), {}, wanted};
  for (const auto& its : all) result.median.push_back(its[order[order.size() / 2]]);
  return result;
}

/// Runs `make`. \returns why it could not, on any rank; empty: it could on all
std::string try_on_all(const std::function<void()>& make, const Together& together) {
  std::string why;
  try {
    make();
  } catch (const CudaError& error) {
    if (error.cuda_status() != cudaErrorMemoryAllocation) throw;
    (void)cudaGetLastError();
    why = "no room in a GPU's memory";
  } catch (const BadInput& refusal) {
    why = refusal.what();
  }
  if (together.all(why.empty())) return {};
  return why.empty() ? "no room in another GPU's memory" : why;
}

/// An event pair around an exchange.
LayerRun timed_exchange(MethodLayer& layer, Partners& partners, const Stream& stream) {
  const Event begin, end;
  partners.meet(stream.get());
  begin.record(stream.get());
  layer.exchange(stream.get());
  end.record(stream.get());
  end.synchronize();
  LayerRun run;
  run.total_s = seconds_between(begin, end);
  return run;
}

std::vector<int> random_tokens(Index count, Index vocab_size) {
  std::vector<int> tokens;
  std::uint64_t state = 1;
  for (Index i = 0; i < count; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    tokens.push_back(static_cast<int>((state >> 33U) % static_cast<std::uint64_t>(vocab_size)));
  }
  return tokens;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// One prefill on one rank, and some tokens.
struct PrefillRun {
  double whole_s = 0, layer_s = 0, token_s = 0;
};

PrefillRun run_prefill(const ApbConfig& config, Method method, const DeviceModel<Bfloat16>& model,
                       DeviceCommunicator& communicator) {
  constexpr Index kQuery = 32, kTokens = 16;
  const BlockLayout layout = method_layout(method, config);
  const std::vector<int> document = random_tokens(config.doc_len, model.shape.vocab_size);
  const std::vector<int> query = random_tokens(kQuery, model.shape.vocab_size);
  GpuRank rank{config, layout, communicator};
  std::vector<Event> layers(static_cast<std::size_t>(model.shape.num_layers));
  const auto start = std::chrono::steady_clock::now();
  DevicePrefill<Bfloat16> done = prefill<Bfloat16>(
      rank, model, {method, document, query, 2 * (kQuery + kTokens)},
      [&](Index layer) { layers[static_cast<std::size_t>(layer - 1)].record(rank.stream.get()); });
  PrefillRun run;
  run.whole_s = seconds_since(start);
  run.layer_s = seconds_between(layers.front(), layers.back()) /
                static_cast<double>(std::max<Index>(1, model.shape.num_layers - 1));
  const auto answer_s = [&](Index tokens) {
    const auto begun = std::chrono::steady_clock::now();
    (void)greedy_decode(rank, model, done.cache, query, tokens);
    return seconds_since(begun);
  };
  const double first_s = answer_s(1);  // the query's pass, and one token
  run.token_s = (answer_s(kTokens) - first_s) / static_cast<double>(kTokens - 1);
  return run;
}

}  // namespace

std::vector<ExchangeTime> slowest_of(const ExchangeTimes& mine, const Together& together) {
  std::vector<ExchangeTime> times;
  for (const ExchangeRuns& runs : mine.runs) {
    ExchangeTime& time = times.emplace_back();
    time.point = runs.point;
    time.time = timing_of(slowest(together.gather(runs.seconds)));
    for (const auto& wrong : together.gather<std::uint64_t>({runs.wrong_words})) {
      time.wrong_words += wrong.front();
    }
  }
  return times;
}

ScaledLayer measure_layer(const std::string& method, const ApbConfig& apb,
                          const DeviceModel<Bfloat16>& model, Partners& partners,
                          const Together& together) {
  const bool alone = method == "full";  // on rank 0; the others wait
  ScaledLayer result{.method = method, .doc_len = apb.doc_len};
  std::unique_ptr<MethodLayer> layer;
  std::unique_ptr<const ColdCache> cache;
  result.why_not = try_on_all(
      [&] {
        result.config = config_of_method(method, apb);
        if (alone && together.rank() != 0) return;
        cache = std::make_unique<const ColdCache>();
        layer = make_method_layer(method, apb, model, partners);
      },
      together);
  if (!result.why_not.empty()) return result;
  const auto before = [&](cudaStream_t stream) {
    cache->chill(stream);
    if (!alone) partners.meet(stream);
  };
  std::function<LayerRun()> once;
  if (layer) once = [&] { return layer->run(before); };
  const std::int64_t received_before = partners.bytes_received();
  if (layer) (void)once();
  result.received_bytes =
      together.most(static_cast<double>(partners.bytes_received() - received_before));

  const RunsOfAll whole = runs_of_all(once, together);
  result.whole = result.computing = whole.time;
  result.of_rank = whole.median;
  result.runs = whole.runs;
  if (result.received_bytes == 0) return result;
  partners.set_silent(true);
  result.computing = runs_of_all(once, together).time;
  partners.set_silent(false);
  const Stream stream;
  result.exchange =
      runs_of_all([&] { return timed_exchange(*layer, partners, stream); }, together).time;
  return result;
}

ScaledPrefill measure_prefill(const std::string& method, const ApbConfig& apb,
                              const DeviceModel<Bfloat16>& model, Partners& partners,
                              const Together& together) {
  constexpr int kRuns = 3;
  const bool alone = method == "full";
  const ApbConfig config = config_of_method(method, apb);
  ScaledPrefill result{.method = method,
                       .doc_len = apb.doc_len,
                       .config = config,
                       .num_layers = model.shape.num_layers};
  std::vector<double> whole_s, layer_s, token_s;
  for (int run = 0; run < kRuns; ++run) {
    PrefillRun mine;
    if (alone) {
      const auto work = [&](DeviceCommunicator& itself) {
        mine = run_prefill(config, Method::kFull, model, itself);
      };
      result.why_not = try_on_all(
          [&] {
            if (together.rank() == 0) run_loopback_ranks(1, work);
          },
          together);
      if (!result.why_not.empty()) return result;
    } else {  // a rank without memory ends the run: the others wait for it inside
      mine = run_prefill(config, Method::kApb, model, partners);
    }
    whole_s.push_back(together.most(mine.whole_s));
    layer_s.push_back(together.most(mine.layer_s));
    token_s.push_back(together.most(mine.token_s));
  }
  result.whole = timing_of(whole_s);
  result.layer_s = timing_of(layer_s).median_s;
  result.token_s = timing_of(token_s).median_s;
  return result;
}

}  // namespace apb::cuda
