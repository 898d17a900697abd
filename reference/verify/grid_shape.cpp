#include "reference/verify/grid_shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "reference/verify/pairwise.hpp"

namespace apb {
namespace {

/// Lengths that kernels treat alike; taken in turn.
struct LengthClass {
  std::string_view name;
  std::array<GridLengths, 4> lengths;
};

constexpr std::array kLengthClasses{
    LengthClass{"few rows", {{{17, 17, 17}, {1, 1, 1}, {3, 9, 5}, {0, 0, 1}}}},
    LengthClass{"no anchor", {{{0, 90, 113}, {0, 7, 5}, {0, 0, 17}, {0, 33, 40}}}},
    LengthClass{"no passing", {{{17, 0, 17}, {1, 0, 64}, {40, 0, 33}, {5, 0, 100}}}},
    LengthClass{"no block", {{{5, 7, 0}, {70, 0, 0}, {33, 65, 0}, {0, 0, 0}}}},
    LengthClass{"beside 64", {{{63, 65, 64}, {64, 63, 65}, {65, 64, 63}, {64, 128, 64}}}},
    LengthClass{"beside 128", {{{127, 128, 9}, {5, 129, 127}, {129, 127, 17}, {1, 128, 128}}}},
    LengthClass{"off tile", {{{40, 90, 73}, {73, 40, 90}, {90, 73, 40}, {20, 150, 50}}}},
    LengthClass{"long passing", {{{9, 1100, 12}, {5, 2100, 10}, {17, 1500, 8}, {3, 4200, 5}}}}};

// Groups of 1, 1, 2, 3, 4, 7 and 8.
constexpr std::array kHeads{GridHeads{1, 1}, GridHeads{3, 3},  GridHeads{16, 8}, GridHeads{12, 4},
                            GridHeads{8, 2}, GridHeads{14, 2}, GridHeads{8, 1}};

struct LongShape {
  std::string_view name;
  GridLengths lengths;
  GridHeads heads;
};

/// Many rows cost much: few heads.
constexpr std::array kLongShapes{LongShape{"long block", {20, 70, 1100}, {4, 2}},
                                 LongShape{"long block", {9, 30, 2050}, {1, 1}},
                                 LongShape{"long block", {0, 300, 1025}, {1, 1}},
                                 LongShape{"long anchor", {1030, 130, 40}, {2, 1}},
                                 LongShape{"long anchor", {1200, 0, 1}, {1, 1}}};
/// And no large head_dim.
constexpr Index kLargestLongHeadDim = 128;

constexpr std::size_t kNumScales = 3;
constexpr std::size_t kNumScores = 5;
constexpr std::size_t kNumValues = 2;
constexpr std::size_t kLargestBatch = 3;

std::string_view name_of(GridScores scores) {
  constexpr std::array<std::string_view, kNumScores> kNames{"ordinary", "flat", "raised", "lowered",
                                                            "wide"};
  return kNames[static_cast<std::size_t>(scores)];
}

/// The kinds of numbers of the i-th long shape, in turn.
void choose_numbers(std::size_t i, GridShape& shape) {
  shape.scale = static_cast<GridScale>(i % kNumScales);
  shape.scores = static_cast<GridScores>(i % kNumScores);
  shape.values = static_cast<GridValues>((i + 1) % kNumValues);
}

void append_long_shapes(std::span<const Index> head_dims, std::vector<GridShape>& shapes) {
  std::vector<Index> affordable;
  for (const Index head_dim : head_dims) {
    if (head_dim <= kLargestLongHeadDim) affordable.push_back(head_dim);
  }
  if (affordable.empty()) affordable.push_back(head_dims.front());
  std::sort(affordable.begin(), affordable.end());  // the shape with most heads has the smallest
  for (std::size_t i = 0; i < kLongShapes.size(); ++i) {
    const LongShape& one = kLongShapes[i];
    shapes.push_back(
        {std::string(one.name), one.lengths, one.heads, affordable[i % affordable.size()]});
    choose_numbers(i, shapes.back());
  }
}

}  // namespace

double GridShape::softmax_scale() const {
  const auto dim = static_cast<double>(head_dim);
  switch (scale) {
    case GridScale::kSmall:
      return 1 / (2 * dim);
    case GridScale::kLarge:
      return 0.6;
    case GridScale::kUsual:
      break;
  }
  return 1 / std::sqrt(dim);
}

std::string GridShape::in_words() const {
  return fmt::format(
      "anchor {} passing {} block {} heads {}/{} head_dim {} batch {} scale {:.4g}, {} "
      "scores{}{}",
      lengths.anchor, lengths.passing, lengths.block, heads.num_q_heads, heads.num_kv_heads,
      head_dim, batch, softmax_scale(), name_of(scores),
      values == GridValues::kOutliers ? ", outliers" : "", hidden_nan ? ", hidden NaN" : "");
}

GridShape first_shape(Index head_dim) {
  return {"first", {64, 64, 64}, {1, 1}, head_dim};
}

std::vector<GridShape> grid_shapes(std::span<const Index> head_dims) {
  std::vector<GridShape> shapes;
  std::array<std::size_t, kLengthClasses.size()> times_used{};
  for (const LevelRow& row :
       pairwise_rows({kLengthClasses.size(), kHeads.size(), head_dims.size(), kNumScores,
                      kNumScales, kLargestBatch, kNumValues, 2})) {
    const LengthClass& length_class = kLengthClasses[row[0]];
    GridShape& shape = shapes.emplace_back();
    shape.length_class = length_class.name;
    shape.lengths = length_class.lengths[times_used[row[0]]++ % length_class.lengths.size()];
    shape.heads = kHeads[row[1]];
    shape.head_dim = head_dims[row[2]];
    shape.scores = static_cast<GridScores>(row[3]);
    shape.scale = static_cast<GridScale>(row[4]);
    shape.batch = static_cast<Index>(row[5] + 1);
    shape.values = static_cast<GridValues>(row[6]);
    shape.hidden_nan = row[7] == 1;
  }
  append_long_shapes(head_dims, shapes);
  return shapes;
}

}  // namespace apb
