// Whole models of random weights on the GPU, all ranks by loopback, against the reference in double
// with the same (rounded) weights. Activations are rounded some ten times a layer, so that hidden
// states agree to a few roundings; where a compressor decides by a close call, the two may keep
// other tokens, so selection is judged on the GPU's own importance, bit by bit.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/model/decode.hpp"
#include "tests/cuda/device_matrix.hpp"
#include "tests/cuda/gpu_model.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

/// What the reference has for one rank.
struct Truth {
  PrefillResult<double> prefilled;
  std::vector<double> nll;
  Matrix<double> expected_log_p;
};

std::vector<Truth> reference_ranks(const GpuCase& work, const ModelWeights<double>& weights) {
  const BlockLayout layout = method_layout(work.method, work.config);
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    const RankContext context{work.config, layout, communicator};
    Truth truth;
    truth.prefilled =
        prefill<double>(work.method, context, weights, work.document, work.query, [](Index) {});
    std::vector<Index> positions(work.document.size() - 1);
    std::iota(positions.begin(), positions.end(), Index{1});
    truth.nll = document_nll(weights, context, truth.prefilled.hidden, work.document, positions);
    truth.expected_log_p = teacher_forced(work.method, context, weights, truth.prefilled,
                                          work.query, work.expected_answer);
    return truth;
  });
}

/// |a - b|_2 / |b|_2.
double relative_error(const std::vector<float>& found, const double* expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    error += std::pow(static_cast<double>(found[i]) - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  return found.empty() ? 0 : std::sqrt(error / size);
}

/// Root mean square of a - b.
double rms_error(const std::vector<double>& found, const double* expected) {
  double error = 0;
  for (std::size_t i = 0; i < found.size(); ++i) error += std::pow(found[i] - expected[i], 2);
  return found.empty() ? 0 : std::sqrt(error / static_cast<double>(found.size()));
}

/// Typical size of a logit: the product of a normed row and an embedding that have nothing to do
/// with each other.
double logit_size(const ModelWeights<float>& weights) {
  const auto rms = [](const Matrix<float>& matrix) {
    return static_cast<double>(matrix.norm()) / std::sqrt(static_cast<double>(matrix.size()));
  };
  return rms(weights.final_norm) * rms(weights.embedding) *
         std::sqrt(static_cast<double>(weights.shape.hidden_size));
}

ApbConfig lengths(Index doc_len, int num_ranks, Compressor compressor) {
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = num_ranks;
  config.anchor_len = 21;
  config.embedded_query_len = 5;
  config.compressor = compressor;
  config.num_kept = compressor == Compressor::kNone ? 0 : 13;
  config.pool_kernel = 5;
  config.seed = 3;
  return config;
}

/// Hidden states, caches and logits within four half places of T.
template <class T>
void check_against_reference(const GpuCase& work, const ModelWeights<float>& weights) {
  const auto ranks = run_gpu_ranks<T>(work, weights);
  const auto truth = reference_ranks(work, in_double(weights));
  const double tolerance = 4 * half_place(kValueType<T>, 1);
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    INFO(to_string(work.method) << ", " << to_string(work.config.compressor) << ", rank " << rank);
    const GpuOutcome& found = ranks[rank];
    const PrefillResult<double>& expected = truth[rank].prefilled;
    REQUIRE(std::ssize(found.hidden) == expected.hidden.size());
    CHECK(relative_error(found.hidden, expected.hidden.data()) <= tolerance);
    for (std::size_t layer = 0; layer < found.keys.size(); ++layer) {
      const LayerCache<double>& cache = expected.cache.layers[layer];
      CHECK(relative_error(found.keys[layer], cache.key.values().data()) <= tolerance);
      CHECK(relative_error(found.values[layer], cache.value.values().data()) <= tolerance);
    }
    CHECK(rms_error(found.expected_log_p, truth[rank].expected_log_p.data()) <=
          tolerance * logit_size(weights));
    CHECK(rms_error(found.nll, truth[rank].nll.data()) <= tolerance * logit_size(weights));
    CHECK(found.answer == ranks.front().answer);
  }
}

/// The num_kept most important candidates, by a sort.
std::vector<Index> kept_by_sort(const std::vector<float>& importance, const RankLayout& layout,
                                Index heads, Index head) {
  std::vector<Index> order(static_cast<std::size_t>(layout.num_candidates()));
  std::iota(order.begin(), order.end(), layout.candidate_begin);
  const auto of = [&](Index doc_pos) {
    return importance[static_cast<std::size_t>((doc_pos - layout.block_begin) * heads + head)];
  };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return of(a) > of(b); });
  order.resize(static_cast<std::size_t>(layout.num_kept));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

TEST_CASE("cuda: prefill by full, star and apb equals the reference to a few roundings") {
  const auto bf16 = gpu_model_weights({}, ValueType::kBfloat16);
  const auto fp16 = gpu_model_weights({128, 4, 1, 0}, ValueType::kFloat16);
  for (const int num_ranks : {1, 2, 4}) {
    for (const auto& [method, compressor] :
         std::vector<std::pair<Method, Compressor>>{{Method::kFull, Compressor::kNone},
                                                    {Method::kStar, Compressor::kNone},
                                                    {Method::kApb, Compressor::kNone},
                                                    {Method::kApb, Compressor::kRandom},
                                                    {Method::kApb, Compressor::kRecent}}) {
      const ApbConfig config = lengths(301, num_ranks, compressor);
      check_against_reference<cuda::Bfloat16>(make_gpu_case(method, config, bf16.shape, 82), bf16);
      check_against_reference<cuda::Float16>(make_gpu_case(method, config, fp16.shape, 83), fp16);
    }
  }
}

TEST_CASE("cuda: prefill with uneven and empty blocks, the official anchor",
          "[reduced][products]") {
  const auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  ApbConfig config = lengths(130, 4, Compressor::kRandom);
  config.block_lens = {60, 0, 63, 7};
  check_against_reference<cuda::Bfloat16>(make_gpu_case(Method::kApb, config, weights.shape, 84),
                                          weights);
  config.block_lens = {};
  config.anchor_convention = AnchorConvention::kOfficial;
  config.query_insert_at = 3;
  check_against_reference<cuda::Bfloat16>(make_gpu_case(Method::kApb, config, weights.shape, 85),
                                          weights);
}

TEST_CASE("cuda: compressors score as the reference does and keep by their own bits",
          "[reduced][products]") {
  for (const Index retaining_hidden : {48, 0}) {
    const auto weights = gpu_model_weights({64, 6, 2, retaining_hidden}, ValueType::kBfloat16);
    for (const Compressor compressor : {Compressor::kRetainingHead, Compressor::kQueryAware}) {
      const GpuCase work =
          make_gpu_case(Method::kApb, lengths(260, 3, compressor), weights.shape, 86);
      const auto ranks = run_gpu_ranks<cuda::Bfloat16>(work, weights);
      const auto truth = reference_ranks(work, in_double(weights));
      const BlockLayout layout = method_layout(work.method, work.config);
      for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        INFO(to_string(compressor) << ", rank " << rank);
        const RankLayout& its = layout.ranks[rank];
        const Index excluded = 2 * (its.candidate_begin - its.block_begin);
        const std::vector<float> first(ranks[rank].importance[0].begin() + excluded,
                                       ranks[rank].importance[0].end());
        const Matrix<double>& expected = truth[rank].prefilled.selections[0].importance;
        CHECK(relative_error(first, expected.data() + excluded) <= 0x1p-7);
        for (std::size_t layer = 0; layer < ranks[rank].kept.size(); ++layer) {
          for (Index head = 0; head < 2; ++head) {
            const auto begin = ranks[rank].kept[layer].begin() + head * its.num_kept;
            CHECK(std::vector<Index>(begin, begin + its.num_kept) ==
                  kept_by_sort(ranks[rank].importance[layer], its, 2, head));
          }
        }
        // Keys and values of 13 entries of 2 heads of 64 in two bytes, from both others.
        CHECK(ranks[rank].bytes_received[1] ==
              2 * 2 * 13 * 2 * 64 * 2 +
                  (compressor == Compressor::kQueryAware && rank == 0 ? 5 * 6 * 64 * 2 : 0));
      }
    }
  }
}

TEST_CASE("cuda: a prefill gives the same bits again") {
  const auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  const GpuCase work =
      make_gpu_case(Method::kApb, lengths(700, 4, Compressor::kRetainingHead), weights.shape, 87);
  const auto first = run_gpu_ranks<cuda::Bfloat16>(work, weights);
  for (int run = 0; run < 5; ++run) {
    CHECK(run_gpu_ranks<cuda::Bfloat16>(work, weights) == first);
  }
}

TEST_CASE("cuda: what a prefill cannot run is refused with one line") {
  auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  ApbConfig config = lengths(64, 2, Compressor::kRetainingHead);
  const GpuCase work = make_gpu_case(Method::kApb, config, weights.shape, 88);
  weights.retaining_heads.clear();
  CHECK(refusal([&] { (void)run_gpu_ranks<cuda::Bfloat16>(work, weights); }) ==
        "cuda prefill: compressor = retaining_head: must be used with retaining heads");
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  const GpuCase ring = make_gpu_case(Method::kRing, config, weights.shape, 89);
  CHECK(refusal([&] { (void)run_gpu_ranks<cuda::Bfloat16>(ring, weights); }) ==
        "cuda prefill: method = ring: must be full, star, apb");
}

}  // namespace apb
