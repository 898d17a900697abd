// The fast truth against attend(), which is tested by itself, on any rows and heads.

#include "reference/verify/truth.hpp"

#include <cmath>

#include "reference/core/parallel_for.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/verify_case.hpp"

namespace apb {
namespace {

CaseShape shape_of(Index seed) {
  switch (seed % 4) {
    case 0:
      return {3, {40, 37, 29}, 11, 2, 9, 6, 2, 16};
    case 1:
      return {2, {131, 150}, 40, 0, 100, 4, 4, 8};
    case 2:
      return {4, {5, 1, 0, 3}, 5, 1, 2, 1, 1, 3};
    default:
      return {2, {65, 64}, 0, 0, 20, 3, 1, 5};
  }
}

/// Both kinds of rows by attend().
AttentionPartial<double> by_attend(const CaseRank& rank, const ApbConfig& config) {
  const Index anchor = rank.layout.anchor_rows;
  const Index block = rank.layout.block_len;
  Counters counters;
  const auto key = rank.key.view();
  const auto value = rank.value.view();
  const std::vector<KeySegment<double>> own{
      {key.slice(0, anchor), value.slice(0, anchor), Visibility::kCausal}};
  const std::vector<KeySegment<double>> all{
      {key.slice(0, anchor), value.slice(0, anchor), Visibility::kAll},
      {rank.passing_key.view(), rank.passing_value.view(), Visibility::kAll},
      {key.slice(anchor, block), value.slice(anchor, block), Visibility::kCausal}};
  auto result =
      attend<double>(rank.query.view().slice(0, anchor), own, config.softmax_scale, counters);
  const auto lower =
      attend<double>(rank.query.view().slice(anchor, block), all, config.softmax_scale, counters);
  Matrix<double> lse(anchor + block, config.num_q_heads);
  lse << result.lse, lower.lse;
  result.lse = lse;
  result.out.append(lower.out.view());
  return result;
}

TEST_CASE("true_attention equals attend on all rows", "[verify]") {
  for (Index seed = 0; seed < 12; ++seed) {
    const CaseFile case_file =
        make_case(static_cast<std::uint64_t>(seed), shape_of(seed), ValueType::kFloat64);
    for (const CaseRank& rank : case_file.ranks) {
      CAPTURE(seed, rank.rank);
      const AttentionSetup setup = prefill_setup(rank, case_file.config);
      const auto truth = true_attention(setup, count_up(rank.layout.rows()),
                                        count_up(case_file.config.num_q_heads));
      const auto expected = by_attend(rank, case_file.config);
      CHECK(compare(truth.out, expected.out) <= 1e-13);
      CHECK(compare(truth.lse, expected.lse) <= 1e-13);
    }
  }
}

TEST_CASE("chosen rows and heads are those of the whole", "[verify]") {
  const CaseFile case_file = make_case(3, shape_of(1), ValueType::kFloat64);
  const CaseRank& rank = case_file.ranks[1];
  const AttentionSetup setup = prefill_setup(rank, case_file.config);
  const auto whole = true_attention(setup, count_up(rank.layout.rows()), count_up(4));
  const std::vector<Index> rows{0, 39, 40, 41, 100, 189};
  const std::vector<Index> heads{1, 3};
  const auto some = true_attention(setup, rows, heads);
  REQUIRE(some.out.rows() == 6);
  REQUIRE(some.out.heads() == 2);
  for (Index i = 0; i < 6; ++i) {
    for (Index h = 0; h < 2; ++h) {
      const Index row = rows[static_cast<std::size_t>(i)];
      const Index head = heads[static_cast<std::size_t>(h)];
      CHECK(std::abs(some.lse(i, h) - whole.lse(row, head)) <= 1e-13);
      for (Index d = 0; d < 8; ++d) {
        CHECK(std::abs(some.out.view().at(i, h)[d] - whole.out.view().at(row, head)[d]) <= 1e-13);
      }
    }
  }
}

TEST_CASE("the truth does not depend on the number of threads", "[verify]") {
  const CaseFile case_file = make_case(4, shape_of(0), ValueType::kFloat64);
  const AttentionSetup setup = prefill_setup(case_file.ranks[2], case_file.config);
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = true_attention(setup, count_up(42), count_up(6));
  set_num_threads(3);
  const auto three = true_attention(setup, count_up(42), count_up(6));
  set_num_threads(threads);
  CHECK(bit_equal(one.out, three.out));
  CHECK(bit_equal(one.lse, three.lse));
}

TEST_CASE("what is not visible never matters, what is visible does", "[verify]") {
  CaseFile case_file = make_case(5, shape_of(0), ValueType::kFloat64);
  CaseRank& rank = case_file.ranks[1];
  const Index last = rank.layout.rows() - 1;
  const auto all = [&] {
    return true_attention(prefill_setup(rank, case_file.config), count_up(last + 1), count_up(6));
  };
  const auto before = all();
  // The last row's key and value are seen by the last row only.
  for (Index d = 0; d < 16; ++d) {
    rank.key.view().at(last, 0)[d] = kNan;
    rank.value.view().at(last, 1)[d] = kNan;
  }
  const auto after = all();
  for (Index row = 0; row <= last; ++row) {
    CHECK(std::isnan(after.lse(row, 0)) == (row == last));
    CHECK(std::isnan(after.out.view().at(row, 5)[3]) == (row == last));
    if (row < last) CHECK(after.lse(row, 0) == before.lse(row, 0));
  }
}

TEST_CASE("scores of -inf weigh nothing, +inf gives NaN, nothing gives 0 and -inf", "[verify]") {
  DecodeCase decode;
  decode.query = HeadsTensor<double>(1, 1, 1);
  decode.query.values() = {1};
  decode.ranks.resize(1);
  DecodeRank& cache = decode.ranks[0];
  ApbConfig config;
  const auto run = [&](std::vector<double> keys) {
    cache.key = cache.value = HeadsTensor<double>(std::ssize(keys), 1, 1);
    for (std::size_t j = 0; j < keys.size(); ++j)
      cache.value.values()[j] = static_cast<double>(j + 1);
    cache.key.values() = std::move(keys);
    return true_attention(decode_setup(decode, {0}, config), count_up(1), count_up(1));
  };
  CHECK(run({}).out.values()[0] == 0);
  CHECK(run({}).lse(0, 0) == -kInf);
  CHECK(run({-kInf}).out.values()[0] == 0);
  CHECK(run({-kInf}).lse(0, 0) == -kInf);
  CHECK(run({-kInf, 0}).out.values()[0] == 2);
  CHECK(run({-kInf, 0}).lse(0, 0) == 0);
  CHECK(std::isnan(run({kInf, 0}).out.values()[0]));
  CHECK(std::isnan(run({kNan, 0}).lse(0, 0)));
  CHECK(std::abs(run({-1e5, -1e5}).lse(0, 0) + 1e5 - std::log(2.0)) <= 1e-10);
  CHECK(run({-1e5, -1e5}).out.values()[0] == 1.5);
}

TEST_CASE("sizes of a row by hand", "[verify]") {
  // Scores 0 and -log(3), values of norm 5 and 10: weights 3/4 and 1/4.
  DecodeCase decode;
  decode.query = HeadsTensor<double>(1, 1, 2);
  decode.query.values() = {1, 1};
  decode.ranks.resize(1);
  decode.ranks[0].key = decode.ranks[0].value = HeadsTensor<double>(2, 1, 2);
  decode.ranks[0].key.values() = {2, -2, -4, 4 - std::log(3.0)};
  decode.ranks[0].value.values() = {3, 4, -6, 8};
  const AttentionSetup setup = decode_setup(decode, {0}, ApbConfig{});
  const auto sizes_in = [&](ValueType type) {
    return measured_attention(setup, count_up(1), count_up(1), type).sizes.at(0);
  };
  const RowSizes sizes = sizes_in(ValueType::kBfloat16);
  CHECK(sizes.keys == 2);
  CHECK(std::abs(sizes.score - (8 - std::log(3.0))) <= 1e-6);  // |1 * -4| + |1 * 2.9|
  CHECK(std::abs(sizes.values - (0.75 * 5 + 0.25 * 10)) <= 1e-12);
  CHECK(sizes.largest_value == 10);
  CHECK(std::abs(sizes.weights_apart - 0x1p-8 * std::hypot(0.75 * 5, 0.25 * 10)) <= 1e-12);
  CHECK(sizes.sum_error <= 0x1p-22);
  double alike = 0;
  for (int i = 0; i < 8; ++i) {
    const double factor = std::exp2(i / 8.0);
    const auto error = [&](double weight) {
      return round_to(ValueType::kBfloat16, weight * factor) / factor - weight;
    };
    alike = std::max(alike, std::abs(5 * error(1) + 10 * error(1 / 3.0)) * 0.75);
  }
  CHECK(std::abs(sizes.weights_alike - alike) <= 1e-6);
  CHECK(sizes_in(ValueType::kFloat32).weights_alike == 0);
}

TEST_CASE("sizes: weights that float16 rounds to multiples of 2^-24", "[verify]") {
  RowSizesSum sum(ValueType::kFloat16);
  sum.add(Eigen::RowVector3d(1, 0x1.8p-24, 0x1p-26), Eigen::RowVector3d(0, 1, 1));
  const RowSizes sizes = sum.finish(0);
  CHECK(sizes.score == 1);
  // Half of 2^-24 for the second; the third, a quarter of it, can be lost as a whole.
  CHECK(std::abs(sizes.weights_apart - std::hypot(0x1p-25, 0x1p-26)) <= 1e-12);
  CHECK(sizes.weights_alike >= 0x1p-26);
  CHECK(sizes.weights_alike <= 0x1p-25 + 0x1p-26);
}

TEST_CASE("sizes: an fp32 sum in key order, a row that sees nothing, values that are not finite",
          "[verify]") {
  RowSizesSum sum(ValueType::kFloat32);
  Eigen::RowVectorXd weights = Eigen::RowVectorXd::Constant(4000, 0.7);
  weights[0] = 1;
  sum.add(weights, Eigen::RowVectorXd::Ones(4000));
  CHECK(sum.finish(3).sum_error >= 1e-6);
  CHECK(sum.finish(3).sum_error <= 4000 * 0x1p-24);
  CHECK(RowSizesSum(ValueType::kFloat32).finish(3).keys == 0);

  CaseFile case_file = make_case(5, shape_of(0), ValueType::kFloat64);
  CaseRank& rank = case_file.ranks[1];
  rank.value.view().at(20, 0)[3] = kInf;
  rank.key.view().at(22, 0)[3] = kNan;
  const AttentionSetup setup = prefill_setup(rank, case_file.config);
  const auto measured =
      measured_attention(setup, count_up(rank.layout.rows()), count_up(6), ValueType::kBfloat16);
  for (const RowSizes& sizes : measured.sizes) {
    CHECK(std::isfinite(sizes.values));
    CHECK(std::isfinite(sizes.score));
    CHECK(std::isfinite(sizes.weights_apart));
    CHECK(std::isfinite(sizes.weights_alike));
  }
}

}  // namespace
}  // namespace apb
