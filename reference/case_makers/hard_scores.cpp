#include "reference/case_makers/hard_scores.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "reference/core/error.hpp"

namespace apb {
namespace {

using Scores = std::vector<double>;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

double from_float_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

/// The number whose bits are those of the type's format: the given upper 8, and the lowest ones.
double sharing_8_bits(ValueType type, std::uint32_t low) {
  if (type == ValueType::kBfloat16) return from_float_bits(0x3F000000U | (low & 0xFFU) << 16U);
  if (type == ValueType::kFloat16) return 1 + (low & 0xFFU) * 0x1p-10;  // bits 0x3C00 + low
  return from_float_bits(0x3F000000U | (low & 0xFFFFFFU));
}

double sharing_16_bits(std::uint32_t low) {
  return from_float_bits(0x3F800000U | (low & 0xFFFFU));
}

/// Numbers whose lowest n bits take every value before one comes again, for every n up to 32.
Scores scrambled(Index rows, SeededRandom& random, const auto& number_of) {
  const auto step = static_cast<std::uint32_t>(random.below(Index{1} << 31) * 2 + 1);
  auto low = static_cast<std::uint32_t>(random.below(Index{1} << 32));
  Scores scores;
  for (Index row = 0; row < rows; ++row, low += step) scores.push_back(number_of(low));
  return scores;
}

/// 0, 1, … in random order.
std::vector<std::size_t> shuffled(Index count, SeededRandom& random) {
  std::vector<std::size_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (Index i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(random.below(i + 1))]);
  }
  return order;
}

/// Half of what is kept lies above 1, three quarters of the rest are 1: only some of them are kept.
Scores more_ties_than_kept(Index rows, Index num_kept, SeededRandom& random) {
  Scores scores(static_cast<std::size_t>(rows));
  const Index above = num_kept / 2;
  const Index ties_end = above + (rows - above) * 3 / 4;
  Index place = 0;
  for (const std::size_t row : shuffled(rows, random)) {
    const double fraction = (random.uniform() + 1) / 4;  // below 0.5
    scores[row] = place < above ? 1.25 + fraction : place < ties_end ? 1 : fraction;
    ++place;
  }
  return scores;
}

Scores after_relu(Index rows, SeededRandom& random) {
  Scores scores;
  for (Index row = 0; row < rows; ++row) scores.push_back(std::max(0.0, random.bell() - 1.5));
  return scores;
}

/// Of an even head, NaN in a third of the rows, zeros in another, few above: zeros are kept too. Of
/// an odd head, numbers in fewer rows than are kept: NaN are kept too.
Scores nan_among_them(Index rows, Index head, Index num_kept, SeededRandom& random) {
  Scores scores(static_cast<std::size_t>(rows), kNotANumber);
  const auto order = shuffled(rows, random);
  const Index numbers = head % 2 == 0 ? rows * 2 / 3 : std::min(rows, num_kept / 2);
  for (Index i = 0; i < numbers; ++i) {
    const Index kind = i % 8;
    scores[order[static_cast<std::size_t>(i)]] = kind == 0 ? 1 : kind < 5 ? 0 : -1;
  }
  return scores;
}

Scores scores_of_head(Adversary adversary, ValueType type, Index rows, Index head, Index num_kept,
                      SeededRandom& random) {
  switch (adversary) {
    case Adversary::kShared8Bits:
      return scrambled(rows, random,
                       [type](std::uint32_t low) { return sharing_8_bits(type, low); });
    case Adversary::kShared16Bits:
      return scrambled(rows, random, sharing_16_bits);
    case Adversary::kMoreTiesThanKept:
      return more_ties_than_kept(rows, num_kept, random);
    case Adversary::kReluZeros:
      return after_relu(rows, random);
    case Adversary::kNanWinners:
      return nan_among_them(rows, head, num_kept, random);
    default:
      return Scores(static_cast<std::size_t>(rows), 0.5);
  }
}

}  // namespace

bool has_hard_scores(Adversary adversary) {
  return adversary >= Adversary::kShared8Bits;
}

Matrix<double> hard_scores(Adversary adversary, ValueType type, Index rows, Index heads,
                           Index num_kept, SeededRandom& random) {
  const bool has_16_bits = type == ValueType::kBfloat16 || type == ValueType::kFloat16;
  if (adversary == Adversary::kShared16Bits && has_16_bits) {
    throw BadInput("case", "dtype", to_string(type),
                   "float32 or float64 with --adversarial shared-16-bits");
  }
  Matrix<double> scores(rows, heads);
  for (Index head = 0; head < heads; ++head) {
    const Scores of_head = scores_of_head(adversary, type, rows, head, num_kept, random);
    for (Index row = 0; row < rows; ++row) {
      scores(row, head) = round_to(type, of_head[static_cast<std::size_t>(row)]);
    }
  }
  return scores;
}

void write_scores(const Matrix<double>& scores, HeadsTensor<double>& key) {
  for (Index row = 0; row < scores.rows(); ++row) {
    for (Index head = 0; head < scores.cols(); ++head) {
      key.view().at(row, head)[0] = scores(row, head);
    }
  }
}

void score_by_first_channel(HeadsTensor<double>& query) {
  for (double& value : query.values()) value = 0;
  for (Index row = 0; row < query.rows(); ++row) {
    for (Index head = 0; head < query.heads(); ++head) query.view().at(row, head)[0] = 1;
  }
}

}  // namespace apb
