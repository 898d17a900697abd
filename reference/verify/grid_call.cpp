// The numbers of a grid shape's call.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "reference/core/seeded_random.hpp"
#include "reference/verify/grid_shape.hpp"

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

/// Standard deviation of scores, and what is added to all of them.
struct ScoreSpread {
  double deviation;
  double offset;
};

ScoreSpread spread_of(GridScores scores) {
  switch (scores) {
    case GridScores::kFlat:
      return {0.02, 0};
    case GridScores::kRaised:
      return {1.5, 150};
    case GridScores::kLowered:
      return {1.5, -400};
    case GridScores::kWide:
      return {60, 0};
    case GridScores::kOrdinary:
      break;
  }
  return {1.5, 0};
}

/// Makes the tensors of one call, in order.
class NumberMaker {
 public:
  NumberMaker(const GridShape& shape, ValueType type, std::uint64_t seed)
      : shape_(shape), type_(type), random_(seed) {
    const ScoreSpread spread = spread_of(shape.scores);
    const double scale = shape.softmax_scale();
    // q·k of two rows of deviation s has deviation s^2 sqrt(head_dim).
    deviation_ =
        std::sqrt(spread.deviation / (scale * std::sqrt(static_cast<double>(shape.head_dim))));
    channel_ = std::sqrt(std::abs(spread.offset) / scale);
    key_sign_ = spread.offset < 0 ? -1 : 1;
  }

  [[nodiscard]] Tensor query(Index rows) {
    return with_channel(shape_.heads.num_q_heads, rows, channel_);
  }
  [[nodiscard]] Tensor key(Index rows) {
    return with_channel(shape_.heads.num_kv_heads, rows, key_sign_ * channel_);
  }
  [[nodiscard]] Tensor value(Index rows) {
    Tensor tensor = random(shape_.heads.num_kv_heads, rows, 1);
    if (shape_.values == GridValues::kOutliers) enlarge_some(tensor);
    round(tensor);
    return tensor;
  }

 private:
  [[nodiscard]] Tensor random(Index heads, Index rows, double deviation) {
    Tensor tensor(rows, heads, shape_.head_dim);
    const double width = deviation * std::numbers::sqrt3;  // of a uniform number, to each side
    for (double& element : tensor.values()) element = width * random_.uniform();
    return tensor;
  }

  /// One channel of all queries and keys moves every score by the same offset.
  [[nodiscard]] Tensor with_channel(Index heads, Index rows, double channel) {
    Tensor tensor = random(heads, rows, deviation_);
    if (channel != 0) {
      for (Index row = 0; row < rows; ++row) {
        for (Index head = 0; head < heads; ++head) {
          tensor.view().at(row, head)[shape_.head_dim / 2] = channel;
        }
      }
    }
    round(tensor);
    return tensor;
  }

  void enlarge_some(Tensor& tensor) const {
    for (Index row = 0; row < tensor.rows(); ++row) {
      const double of_row = row % 16 == 5 ? 16 : 1;
      for (Index head = 0; head < tensor.heads(); ++head) {
        double* value = tensor.view().at(row, head);
        for (Index d = 0; d < tensor.head_dim(); ++d) value[d] *= of_row;
        value[tensor.head_dim() / 3] *= 64;
      }
    }
  }

  void round(Tensor& tensor) const {
    for (double& element : tensor.values()) element = round_to(type_, element);
  }

  const GridShape& shape_;
  ValueType type_;
  SeededRandom random_;
  double deviation_;
  double channel_;
  double key_sign_;
};

void put_nan(Tensor& tensor, Index first_row) {
  for (Index row = first_row; row < tensor.rows(); ++row) {
    for (Index head = 0; head < tensor.heads(); ++head) {
      std::fill_n(tensor.view().at(row, head), tensor.head_dim(),
                  std::numeric_limits<double>::quiet_NaN());
    }
  }
}

/// Where only the last row, or none, may see it: the last row's own key and value; without a block
/// the whole passing block too.
void hide_nan(CaseRank& rank) {
  const Index rows = rank.key.rows();
  if (rows > 1) {
    put_nan(rank.key, rows - 1);
    put_nan(rank.value, rows - 1);
  }
  if (rank.layout.block_len == 0) {
    put_nan(rank.passing_key, 0);
    put_nan(rank.passing_value, 0);
  }
}

}  // namespace

GridCall grid_call(const GridShape& shape, ValueType type, std::uint64_t seed) {
  GridCall call;
  call.config.num_q_heads = shape.heads.num_q_heads;
  call.config.num_kv_heads = shape.heads.num_kv_heads;
  call.config.head_dim = shape.head_dim;
  call.config.softmax_scale = shape.softmax_scale();
  NumberMaker numbers(shape, type, seed);
  for (Index i = 0; i < shape.batch; ++i) {
    CaseRank& rank = call.items.emplace_back();
    rank.layout.anchor_rows = shape.lengths.anchor;
    rank.layout.passing_rows = shape.lengths.passing;
    rank.layout.block_len = shape.lengths.block;
    rank.query = numbers.query(rank.layout.rows());
    rank.key = numbers.key(rank.layout.rows());
    rank.value = numbers.value(rank.layout.rows());
    rank.passing_key = numbers.key(shape.lengths.passing);
    rank.passing_value = numbers.value(shape.lengths.passing);
    if (shape.hidden_nan) hide_nan(rank);
  }
  return call;
}

}  // namespace apb
