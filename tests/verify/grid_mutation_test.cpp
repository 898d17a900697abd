// The plug-in's grid lets nothing through: every known mistake, made for one kind of shape only
// (one head_dim, one length, one scale, …), is rejected. By a kernel that shares no code with the
// judge, on a few rows of every shape.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "reference/verify/judge.hpp"
#include "reference/verify/pairwise.hpp"
#include "tests/support/catch.hpp"
#include "tests/verify/grid_kernel.hpp"

namespace apb {
namespace {

constexpr Index kLostTile = 64;

struct GridMutation {
  std::string name;
  std::function<void(GridKernel&)> make;
  std::function<bool(const GridShape&)> is_wrong;  ///< on some row of the shape
};

bool has_anchor(const GridShape& shape) {
  return shape.lengths.anchor > 0;
}
bool has_block(const GridShape& shape) {
  return shape.lengths.block > 0;
}
bool passes(const GridShape& shape) {
  return shape.lengths.passing > 0 && has_block(shape);
}
bool has_rows(const GridShape& shape) {
  return has_anchor(shape) || has_block(shape);
}
Index rows_of(const GridShape& shape) {
  return shape.lengths.anchor + shape.lengths.block;
}

/// Block rows do not see passing key j if `lost` says so.
auto losing(bool (*lost)(Index passing, Index j)) {
  return [lost](GridKernel& kernel) {
    kernel.sees = [lost](const GridShape& shape, Place row, Place key) {
      if (key.segment == Segment::kPassing && lost(shape.lengths.passing, key.at)) return false;
      return is_visible(row.segment, row.at, key.segment, key.at);
    };
  };
}

auto seeing(bool (*sees)(const GridShape& shape, Place row, Place key, bool right)) {
  return [sees](GridKernel& kernel) {
    kernel.sees = [sees](const GridShape& shape, Place row, Place key) {
      return sees(shape, row, key, is_visible(row.segment, row.at, key.segment, key.at));
    };
  };
}

auto scaling(double (*scale)(const GridShape&)) {
  return [scale](GridKernel& kernel) { kernel.scale = scale; };
}

bool many_keys(const GridShape& shape) {
  const GridLengths& l = shape.lengths;
  return has_block(shape) ? l.anchor + l.passing + l.block > kLostTile : l.anchor > kLostTile;
}

const std::vector<GridMutation>& mutations() {
  static const std::vector<GridMutation> all{
      {"the last passing key is lost",
       losing([](Index passing, Index j) { return j == passing - 1; }), passes},
      {"a passing key in the middle is lost",
       losing([](Index passing, Index j) { return j == passing / 2; }), passes},
      {"the first tile of passing keys is lost",
       losing([](Index, Index j) { return j < kLostTile; }), passes},
      {"the last passing value is read as 0",
       [](GridKernel& kernel) {
         kernel.value_is_zero = [](const GridShape& shape, Place key) {
           return key.segment == Segment::kPassing && key.at == shape.lengths.passing - 1;
         };
       },
       passes},
      {"anchor rows see the passing block",
       seeing([](const GridShape&, Place, Place key, bool right) {
         return right || key.segment == Segment::kPassing;
       }),
       [](const GridShape& shape) { return has_anchor(shape) && shape.lengths.passing > 0; }},
      {"block rows miss the last anchor key",
       seeing([](const GridShape& shape, Place row, Place key, bool right) {
         return right && !(row.segment == Segment::kBlock && key.segment == Segment::kAnchor &&
                           key.at == shape.lengths.anchor - 1);
       }),
       [](const GridShape& shape) { return has_anchor(shape) && has_block(shape); }},
      {"the causal mask counts the passing block",  // aligned top-left
       seeing([](const GridShape& shape, Place row, Place key, bool right) {
         const GridLengths& l = shape.lengths;
         const Index after_anchor = l.anchor + (key.segment == Segment::kBlock ? l.passing : 0);
         const Index before = key.segment == Segment::kAnchor ? 0 : after_anchor;
         const Index at = row.segment == Segment::kAnchor ? row.at : l.anchor + row.at;
         return row.segment == Segment::kAnchor ? right : before + key.at <= at;
       }),
       passes},
      {"the causal mask shows one key more",
       seeing([](const GridShape&, Place row, Place key, bool right) {
         return row.segment == key.segment ? key.at <= row.at + 1 : right;
       }),
       [](const GridShape& shape) { return shape.lengths.anchor > 1 || shape.lengths.block > 1; }},
      {"the causal mask hides the row itself",
       seeing([](const GridShape&, Place row, Place key, bool right) {
         return row.segment == key.segment ? key.at < row.at : right;
       }),
       has_rows},
      {"there is no causal mask", seeing([](const GridShape&, Place row, Place key, bool right) {
         return right || row.segment == key.segment;
       }),
       [](const GridShape& shape) { return shape.lengths.anchor > 1 || shape.lengths.block > 1; }},
      {"a window hides all but the last 32 keys of the own segment",
       seeing([](const GridShape&, Place row, Place key, bool right) {
         return right && !(row.segment == key.segment && key.at <= row.at - 32);
       }),
       [](const GridShape& shape) {
         return std::max(shape.lengths.anchor, shape.lengths.block) > 32;
       }},
      {"block rows in the tile where the anchor ends miss the passing block",
       seeing([](const GridShape& shape, Place row, Place key, bool right) {
         const Index anchor = shape.lengths.anchor;
         const bool in_tile =
             row.segment == Segment::kBlock && anchor % kLostTile + row.at < kLostTile;
         return right && !(in_tile && anchor % kLostTile > 0 && key.segment == Segment::kPassing);
       }),
       [](const GridShape& shape) {
         return passes(shape) && shape.lengths.anchor % kLostTile > 0;
       }},
      {"anchor rows in the tile where the anchor ends see the passing block",
       seeing([](const GridShape& shape, Place row, Place key, bool right) {
         const Index whole = shape.lengths.anchor / kLostTile * kLostTile;
         return right || (row.segment == Segment::kAnchor && row.at >= whole &&
                          key.segment == Segment::kPassing);
       }),
       [](const GridShape& shape) {
         return shape.lengths.anchor % kLostTile > 0 && shape.lengths.passing > 0;
       }},
      {"query head h reads KV head h % num_kv_heads",
       [](GridKernel& kernel) {
         kernel.kv_head = [](const GridShape& shape, Index head) {
           return head % shape.heads.num_kv_heads;
         };
       },
       [](const GridShape& shape) {
         return has_rows(shape) && shape.heads.num_kv_heads > 1 &&
                shape.heads.num_q_heads > shape.heads.num_kv_heads;
       }},
      {"query head h reads KV head h / num_kv_heads",
       [](GridKernel& kernel) {
         kernel.kv_head = [](const GridShape& shape, Index head) {
           return std::min(head / shape.heads.num_kv_heads, shape.heads.num_kv_heads - 1);
         };
       },
       [](const GridShape& shape) {
         const GridHeads& heads = shape.heads;
         return has_rows(shape) && heads.num_kv_heads > 1 &&
                heads.num_q_heads != heads.num_kv_heads * heads.num_kv_heads;
       }},
      {"every batch item reads the first",
       [](GridKernel& kernel) { kernel.first_item_only = true; },
       [](const GridShape& shape) { return has_rows(shape) && shape.batch > 1; }},
      {"lse in base 2", [](GridKernel& kernel) { kernel.lse_factor = std::numbers::log2e; },
       has_rows},
      {"softmax scale missing", scaling([](const GridShape&) { return 1.0; }), has_rows},
      {"softmax scale ignored: 1 / sqrt(head_dim)", scaling([](const GridShape& shape) {
         return 1 / std::sqrt(static_cast<double>(shape.head_dim));
       }),
       [](const GridShape& shape) { return has_rows(shape) && shape.scale != GridScale::kUsual; }},
      {"softmax scale squared", scaling([](const GridShape& shape) {
         return shape.softmax_scale() * shape.softmax_scale();
       }),
       has_rows},
      {"softmax scale times ln 2",
       scaling([](const GridShape& shape) { return shape.softmax_scale() * std::numbers::ln2; }),
       has_rows},
      {"no maximum is subtracted", [](GridKernel& kernel) { kernel.shifts = false; },
       [](const GridShape& shape) {
         return has_rows(shape) && shape.scores >= GridScores::kRaised;
       }},
      {"nothing is rescaled when the maximum grows",
       [](GridKernel& kernel) { kernel.rescales = false; }, many_keys},
      {"q·k in fp16", [](GridKernel& kernel) { kernel.half_scores = true; }, has_rows},
      {"q·k over whole 64s of head_dim",
       [](GridKernel& kernel) {
         kernel.head_dim = [](const GridShape& shape) { return shape.head_dim / 64 * 64; };
       },
       [](const GridShape& shape) { return has_rows(shape) && shape.head_dim % 64 > 0; }},
      {"hidden values weigh 0", [](GridKernel& kernel) { kernel.weighs_hidden = true; },
       [](const GridShape& shape) { return rows_of(shape) > 1 && shape.hidden_nan; }},
      {"rows beyond the last whole 16 are not written",
       [](GridKernel& kernel) {
         kernel.writes = [](const GridShape& shape, Index row) {
           return row < rows_of(shape) / 16 * 16;
         };
       },
       [](const GridShape& shape) { return rows_of(shape) % 16 > 0; }},
  };
  return all;
}

/// What a mistake may be restricted to.
std::vector<std::string> classes_of(const GridShape& shape) {
  return {shape.length_class,
          "heads " + std::to_string(shape.heads.num_q_heads) + "/" +
              std::to_string(shape.heads.num_kv_heads),
          "group " + std::to_string(shape.heads.num_q_heads / shape.heads.num_kv_heads),
          "head_dim " + std::to_string(shape.head_dim),
          "batch " + std::to_string(shape.batch),
          "scale " + std::to_string(static_cast<int>(shape.scale)),
          "scores " + std::to_string(static_cast<int>(shape.scores)),
          "values " + std::to_string(static_cast<int>(shape.values)),
          "NaN " + std::to_string(static_cast<int>(shape.hidden_nan))};
}

/// First and last rows of both segments, and some between.
std::vector<Index> some_rows(const GridShape& shape) {
  const Index anchor = shape.lengths.anchor;
  const Index rows = rows_of(shape);
  std::set<Index> chosen{0, anchor / 2, anchor - 1, anchor + 1, rows - 2, rows - 1};
  for (Index i = 0; i < 6; ++i) chosen.insert(anchor + shape.lengths.block * i / 6);
  std::erase_if(chosen, [&](Index row) { return row < 0 || row >= rows; });
  return {chosen.begin(), chosen.end()};
}

struct JudgedShape {
  GridShape shape;
  GridCall call;
  std::vector<Index> rows;

  /// The first quantity in which the kernel fails; empty if it passes in every batch item.
  [[nodiscard]] std::string failure(const GridKernel& kernel, ValueType type) const {
    Judgement judgement;
    for (std::size_t item = 0; item < call.items.size(); ++item) {
      const AttentionSetup setup = prefill_setup(call.items[item], call.config);
      const GridOutput result = run_grid_kernel(kernel, shape, call, item, type, rows);
      judge_attention({setup, nullptr, &call.items[item], {type, type}}, 0, "", rows, result.out,
                      result.lse, judgement);
      for (const Verdict& verdict : judgement.verdicts) {
        if (!verdict.pass) return verdict.quantity;
      }
    }
    return {};
  }
};

/// The least precise type, whose budget hides most.
constexpr ValueType kType = ValueType::kBfloat16;

std::vector<JudgedShape> whole_grid() {
  std::vector<JudgedShape> grid;
  for (const GridShape& shape : grid_shapes(kGridHeadDims)) {
    grid.push_back({shape, grid_call(shape, kType, 0), some_rows(shape)});
  }
  return grid;
}

TEST_CASE("plug-in grid: a mistake restricted to any kind of shape is rejected", "[verify]") {
  const std::vector<JudgedShape> grid = whole_grid();
  std::size_t restricted = 0;
  for (const GridMutation& mutation : mutations()) {
    GridKernel kernel;
    mutation.make(kernel);
    std::set<std::string> to_reject;
    for (const JudgedShape& one : grid) {
      if (!mutation.is_wrong(one.shape)) continue;
      for (const std::string& its : classes_of(one.shape)) to_reject.insert(its);
    }
    restricted += to_reject.size();
    for (const JudgedShape& one : grid) {
      const std::vector<std::string> classes = classes_of(one.shape);
      const bool is_new = std::ranges::any_of(
          classes, [&](const std::string& its) { return to_reject.contains(its); });
      if (!is_new || !mutation.is_wrong(one.shape) || one.failure(kernel, kType).empty()) continue;
      for (const std::string& its : classes) to_reject.erase(its);
    }
    CAPTURE(mutation.name, to_reject);
    CHECK(to_reject.empty());
  }
  CHECK(restricted == 1212);
}

TEST_CASE("plug-in grid: the right kernel passes in every type", "[verify]") {
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    for (const GridShape& shape : grid_shapes(kGridHeadDims)) {
      const JudgedShape one{shape, grid_call(shape, type, 1), some_rows(shape)};
      CAPTURE(to_string(type), shape.in_words());
      CHECK(one.failure({}, type) == "");
    }
  }
}

TEST_CASE("pairwise rows hold every pair of levels", "[verify]") {
  const std::vector<std::size_t> counts{8, 7, 7, 5, 3, 3, 2, 2};
  const std::vector<LevelRow> rows = pairwise_rows(counts);
  CHECK(rows.size() < 70);  // 56 at least
  for (std::size_t f = 0; f < counts.size(); ++f) {
    for (std::size_t g = f + 1; g < counts.size(); ++g) {
      std::set<std::pair<std::size_t, std::size_t>> met;
      for (const LevelRow& row : rows) met.emplace(row[f], row[g]);
      CHECK(met.size() == counts[f] * counts[g]);
    }
  }
  CHECK(pairwise_rows({4, 1}).size() == 4);
}

}  // namespace
}  // namespace apb
