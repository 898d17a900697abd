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

/// Runs one piece of work on all ranks, as often on each: a second, but 9 times at least.
/// \param once empty on a rank that takes no part; its result has a `total_s`
/// \returns every rank's runs, [rank][run]
template <class Run>
std::vector<std::vector<Run>> runs_of_all(const std::function<Run()>& once,
                                          const Together& together) {
  constexpr double kBudget_s = 1;
  constexpr int kWarm = 2, kLeast = 9, kMost = 21;
  double last_s = 0;
  for (int run = 0; run < kWarm; ++run) last_s = once ? once().total_s : 0;
  const int wanted = std::clamp(static_cast<int>(kBudget_s / together.most(last_s)), kLeast, kMost);
  std::vector<Run> runs(static_cast<std::size_t>(wanted));
  for (Run& run : runs) {
    if (once) run = once();
  }
  return together.gather(runs);
}

/// [rank][run] of what is timed of each run.
template <class Run>
std::vector<std::vector<double>> seconds_of(const std::vector<std::vector<Run>>& runs,
                                            const std::function<double(const Run&)>& seconds) {
  std::vector<std::vector<double>> result;
  for (const auto& its : runs) {
    result.emplace_back();
    std::transform(its.begin(), its.end(), std::back_inserter(result.back()), seconds);
  }
  return result;
}

/// A layer with its partners, and right after it with silent ones: a card that warms up in between
/// would be taken for an exchange.
struct LayerPair {
  LayerRun whole, computing;
  double total_s = 0;  ///< of whole
};

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

/// An exchange by itself.
struct ExchangeRun {
  double total_s = 0;
};

ExchangeRun timed_exchange(MethodLayer& layer, Partners& partners, const Stream& stream) {
  const Event begin, end;
  partners.meet(stream.get());
  begin.record(stream.get());
  layer.exchange(stream.get());
  end.record(stream.get());
  end.synchronize();
  return {seconds_between(begin, end)};
}

/// The run of median time.
std::size_t median_run(const std::vector<double>& seconds) {
  std::vector<std::size_t> order(seconds.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return seconds[a] < seconds[b]; });
  return order[order.size() / 2];
}

/// What the pairs say: whole, computing, and what both at once win beside a serial exchange.
void add_pairs(const std::vector<std::vector<LayerPair>>& pairs, ScaledLayer& result) {
  const auto slowest_of_part = [&](LayerRun LayerPair::*part) {
    return slowest(seconds_of<LayerPair>(
        pairs, [part](const LayerPair& pair) { return (pair.*part).total_s; }));
  };
  const std::vector<double> whole = slowest_of_part(&LayerPair::whole);
  const std::vector<double> computing = slowest_of_part(&LayerPair::computing);
  result.whole = timing_of(whole);
  result.computing = timing_of(computing);
  result.runs = static_cast<int>(whole.size());
  for (const auto& its : pairs) result.of_rank.push_back(its[median_run(whole)].whole);
  std::vector<double> less;
  for (std::size_t run = 0; run < whole.size(); ++run) less.push_back(computing[run] - whole[run]);
  std::sort(less.begin(), less.end());
  result.less_s = less[less.size() / 2];
  result.less_spread_s = less[3 * less.size() / 4] - less[less.size() / 4];
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
  const std::int64_t received_before = partners.bytes_received();
  if (layer) (void)layer->run(before);
  result.received_bytes =
      together.most(static_cast<double>(partners.bytes_received() - received_before));
  const bool exchanges = result.received_bytes > 0;
  const auto run_pair = [&] {
    LayerPair pair{layer->run(before), {}, 0};
    if (exchanges) {
      partners.set_silent(true);
      pair.computing = layer->run(before);
      partners.set_silent(false);
    }
    pair.total_s = pair.whole.total_s;
    return pair;
  };
  add_pairs(runs_of_all<LayerPair>(layer ? run_pair : std::function<LayerPair()>(), together),
            result);
  if (!exchanges) {
    result.computing = result.whole;
    return result;
  }
  const Stream stream;
  const auto runs =
      runs_of_all<ExchangeRun>([&] { return timed_exchange(*layer, partners, stream); }, together);
  result.exchange = timing_of(
      slowest(seconds_of<ExchangeRun>(runs, [](const ExchangeRun& run) { return run.total_s; })));
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
