#include "tests/verify/wrong_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

constexpr AnchorConvention kOfficial = AnchorConvention::kOfficial;

Index anchor_rows(const CaseShape& shape) {
  return shape.anchor_len + (shape.convention == kOfficial ? 0 : shape.query_rows);
}

auto block_of(Index rows) {
  return [rows](const CaseShape& shape) { return shape.block_lens.back() >= rows; };
}

auto kv_heads(Index least) {
  return [least](const CaseShape& shape) { return shape.num_kv_heads >= least; };
}

/// Where a key is among all of a rank's keys.
Index number(const CaseRank& rank, Segment segment, Index j) {
  if (segment == Segment::kAnchor) return j;
  if (segment == Segment::kPassing) return rank.layout.anchor_rows + j;
  return rank.layout.anchor_rows + rank.layout.passing_rows + j;
}

/// A row that sees a key.
struct Pair {
  Segment row_segment;
  Index row;
  Segment key_segment;
  Index key;
};

/// Rows do not see the keys for which `lost` holds.
MakeWrong hiding(std::function<bool(const CaseRank&, const Pair&)> lost) {
  return [lost = std::move(lost)](CaseRank& rank, Kernel& kernel) {
    kernel.visible = [lost, &rank](Segment q, Index i, Segment k, Index j) {
      return is_visible(q, i, k, j) && !lost(rank, {q, i, k, j});
    };
  };
}

MakeWrong missing_range(Segment segment, Index begin, Index end) {
  return hiding([=](const CaseRank&, const Pair& pair) {
    return pair.key_segment == segment && pair.key >= begin && pair.key < end;
  });
}

MakeWrong missing_anchor_tail(Index count) {
  return hiding([count](const CaseRank& rank, const Pair& pair) {
    return pair.row_segment == Segment::kBlock && pair.key_segment == Segment::kAnchor &&
           pair.key >= rank.layout.anchor_rows - count;
  });
}

/// What one lower rank gave, or all of it but some last entries; both lower ranks gave as much.
MakeWrong missing_slice(Index lower, Index but = 0) {
  return hiding([=](const CaseRank& rank, const Pair& pair) {
    const Index kept = rank.layout.passing_rows / 2;
    return pair.key_segment == Segment::kPassing && pair.key >= lower * kept &&
           pair.key < (lower + 1) * kept - but;
  });
}

/// The last keys that a row should see, of all or, of a block row, of its block.
MakeWrong window(Index width, bool own_alone) {
  return hiding([=](const CaseRank& rank, const Pair& pair) {
    if (own_alone) return pair.key_segment == Segment::kBlock && pair.key <= pair.row - width;
    const Index row = number(rank, pair.row_segment, pair.row);
    return number(rank, pair.key_segment, pair.key) <= row - width;
  });
}

void exchange(Tensor& tensor, Index a, Index b) {
  for (Index row = 0; row < tensor.rows(); ++row) {
    std::swap_ranges(tensor.view().at(row, a), tensor.view().at(row, a) + tensor.head_dim(),
                     tensor.view().at(row, b));
  }
}

auto swap_heads(Index a, Index b, bool keys, bool values) {
  return [=](CaseRank& rank, Kernel&) {
    for (Tensor* tensor : {&rank.key, &rank.passing_key}) {
      if (keys) exchange(*tensor, a, b);
    }
    for (Tensor* tensor : {&rank.value, &rank.passing_value}) {
      if (values) exchange(*tensor, a, b);
    }
  };
}

/// Values of rank 1's slice before those of rank 0's, or all moved on by some entries.
void rotate_values(CaseRank& rank, Index by) {
  const Tensor whole = rank.passing_value;
  const Index rows = whole.rows();
  rank.passing_value = Tensor(0, whole.heads(), whole.head_dim());
  rank.passing_value.append(whole.view().slice(by, rows - by));
  rank.passing_value.append(whole.view().slice(0, by));
}

void slices_reversed(CaseRank& rank, Kernel&) {
  rotate_values(rank, rank.layout.passing_rows / 2);
}

void anchor_sees_beyond_tiles_of_16(CaseRank& rank, Kernel& kernel) {
  kernel.visible = [whole = rank.layout.passing_rows / 16 * 16](Segment q, Index i, Segment k,
                                                                Index j) {
    return (k == Segment::kPassing && j >= whole) || is_visible(q, i, k, j);
  };
}

/// Keys in their usual order, or the passing block before the anchor.
auto top_left(bool passing_first) {
  return [passing_first](CaseRank& rank, Kernel& kernel) {
    const Index anchor = rank.layout.anchor_rows;
    const Index passing = rank.layout.passing_rows;
    kernel.visible = [=](Segment q, Index i, Segment k, Index j) {
      const Index row = q == Segment::kAnchor ? i : anchor + i;
      Index before = anchor + passing;
      if (k == Segment::kAnchor) before = passing_first ? passing : 0;
      if (k == Segment::kPassing) before = passing_first ? 0 : anchor;
      return before + j <= row;
    };
  };
}

void border_tile_of_16(CaseRank& rank, Kernel& kernel) {
  const Index anchor = rank.layout.anchor_rows;
  kernel.visible = [anchor](Segment q, Index i, Segment k, Index j) {
    const bool in_tile = q == Segment::kBlock && anchor + i < (anchor + 15) / 16 * 16;
    return is_visible(q, i, k, j) && !(in_tile && k == Segment::kPassing);
  };
}

void border_tile_sees_passing(CaseRank& rank, Kernel& kernel) {
  const Index first = rank.layout.anchor_rows / 16 * 16;
  kernel.visible = [first](Segment q, Index i, Segment k, Index j) {
    const bool in_tile = q == Segment::kAnchor && i >= first;
    return is_visible(q, i, k, j) || (in_tile && k == Segment::kPassing);
  };
}

}  // namespace

bool passes(const CaseShape& shape) {
  return shape.num_kept > 0;
}

MakeWrong missing_tail(Index count) {
  return hiding([count](const CaseRank& rank, const Pair& pair) {
    return pair.key_segment == Segment::kPassing && pair.key >= rank.layout.passing_rows - count;
  });
}

MakeWrong zero_tail(Index count) {
  return [count](CaseRank& rank, Kernel& kernel) {
    kernel.value_is_zero = [passing = rank.layout.passing_rows, count](Segment k, Index j) {
      return k == Segment::kPassing && j >= passing - count;
    };
  };
}

MakeWrong off_by(Index step) {
  return [step](CaseRank&, Kernel& kernel) {
    kernel.visible = [step](Segment q, Index i, Segment k, Index j) {
      return q == k ? j <= i + step : is_visible(q, i, k, j);
    };
  };
}

CandidateRank run_wrong(const MakeWrong& make, const CaseFile& case_file, ValueType type) {
  CaseRank inputs = case_file.ranks.back();
  Kernel kernel;
  kernel.compute_type = kernel.out_type = type;
  make(inputs, kernel);
  return run_kernel(kernel, case_file, inputs);
}

const std::vector<Mutation>& mutations() {
  static const std::vector<Mutation> all{
      {"anchor rows see the passing block",
       [](CaseRank&, Kernel& kernel) {
         kernel.visible = [](Segment q, Index i, Segment k, Index j) {
           return k == Segment::kPassing || is_visible(q, i, k, j);
         };
       },
       passes},
      {"anchor rows see the passing block: its last", anchor_sees_beyond_tiles_of_16, passes},
      {"block rows miss keys of the passing block: the last 1 of", missing_tail(1), passes},
      {"block rows miss keys of the passing block: the last 7 of", missing_tail(7), passes},
      {"block rows miss keys of the passing block: all", missing_tail(1000), passes},
      {"values of the passing block read as 0: the last 1 of", zero_tail(1), passes},
      {"values of the passing block read as 0: the last 6 of", zero_tail(6), passes},
      {"values of the passing block read as 0: all", zero_tail(1000), passes},
      {"block rows miss keys of the anchor: the last 3 of", missing_anchor_tail(3)},
      {"causal mask aligned top-left: row i sees keys 0…i of [anchor, passing, block]",
       top_left(false), passes},  // of Star, it is right
      {"causal mask aligned top-left: row i sees keys 0…i of [passing, anchor, block]",
       top_left(true), passes},
      {"causal mask off by one: row i sees own keys 0…i+1", off_by(1)},
      {"causal mask missing inside anchor and block", off_by(100000)},
      {"GQA map wrong: query head h reads KV head h % num_kv_heads",
       [](CaseRank&, Kernel& kernel) {
         kernel.kv_head = [](Index head, Index, Index kv_heads) { return head % kv_heads; };
       },
       [](const CaseShape& shape) { return shape.num_kv_heads > 1; }},
      {"GQA map wrong: query head h reads KV head h / num_kv_heads",
       [](CaseRank&, Kernel& kernel) {
         kernel.kv_head = [](Index head, Index, Index kv_heads) {
           return std::min(head / kv_heads, kv_heads - 1);
         };
       },
       [](const CaseShape& shape) {
         return shape.num_q_heads != shape.num_kv_heads * shape.num_kv_heads;
       }},
      {"lse in base 2", [](CaseRank&, Kernel& kernel) { kernel.lse_factor = std::numbers::log2e; }},
      {"softmax scale missing",
       [](CaseRank&, Kernel& kernel) { kernel.scale = [](double) { return 1.0; }; }},
      {"softmax scale squared",
       [](CaseRank&, Kernel& kernel) { kernel.scale = [](double s) { return s * s; }; }},
      {"softmax scale times ln 2",
       [](CaseRank&, Kernel& kernel) {
         kernel.scale = [](double s) { return s * std::numbers::ln2; };
       }},
      {"tile border: block rows in the tile of 16", border_tile_of_16, passes},
      {"a rank's slice of the passing block is lost: rank 0's", missing_slice(0), passes},
      {"a rank's slice of the passing block is lost: rank 1's", missing_slice(1), passes},
      {"one tile of keys is lost of 64: keys 64-127 of the block",
       missing_range(Segment::kBlock, 64, 128), block_of(128)},
      {"one tile of keys is lost of 128: keys 0-127 of the block",
       missing_range(Segment::kBlock, 0, 128), block_of(128)},
      {"one tile of keys is lost of 64: keys 0-63 of the passing block",
       missing_range(Segment::kPassing, 0, 64),
       [](const CaseShape& shape) { return passes(shape) && 2 * shape.num_kept > 64; }},
      {"sliding window: rows see only the last 24 of the keys", window(24, false)},
      {"sliding window: rows see only the last 16 keys of their own block", window(16, true)},
      {"KV heads swapped: keys of KV heads 0 and 1", swap_heads(0, 1, true, false), kv_heads(2)},
      {"KV heads swapped: values of KV heads 0 and 2", swap_heads(0, 2, false, true), kv_heads(3)},
      {"KV heads swapped: keys and values of KV heads 0 and 1", swap_heads(0, 1, true, true),
       kv_heads(2)},
      {"passing blocks of the ranks in the wrong order: values reversed", slices_reversed,
       [](const CaseShape& shape) { return shape.num_kept > 0; }},
      {"tile border: anchor rows in the tile of 16", border_tile_sees_passing,
       [](const CaseShape& shape) { return passes(shape) && anchor_rows(shape) > 16; }},
  };
  return all;
}

const std::vector<Mutation>& neighbours() {
  static const std::vector<Mutation> all{
      {"anchor rows see the passing block",
       [](CaseRank&, Kernel& kernel) {  // they see the block
         kernel.visible = [](Segment q, Index i, Segment k, Index j) {
           return (q == Segment::kAnchor && k == Segment::kBlock) || is_visible(q, i, k, j);
         };
       }},
      {"a rank's slice", missing_slice(0, 1), passes},
      {"block rows miss keys of the passing block", missing_range(Segment::kPassing, 1, 6), passes},
      {"values of the passing block read as 0",
       [](CaseRank&, Kernel& kernel) {  // the first, not the last
         kernel.value_is_zero = [](Segment k, Index j) { return k == Segment::kPassing && j < 5; };
       },
       passes},
      {"block rows miss keys of the anchor", missing_range(Segment::kAnchor, 1, 4)},
      {"one tile of keys", missing_range(Segment::kBlock, 40, 104), block_of(128)},
      {"one tile of keys", missing_range(Segment::kBlock, 64, 127), block_of(128)},
      {"sliding window", hiding([](const CaseRank&, const Pair& pair) {  // every other key
         return pair.key_segment == pair.row_segment && (pair.row - pair.key) % 2 == 1;
       })},
      {"causal mask aligned", off_by(3)},
      {"causal mask off by one", off_by(2)},
      {"causal mask missing", off_by(8)},
      {"GQA map wrong",
       [](CaseRank&, Kernel& kernel) {  // the last of a group reads the next KV head
         kernel.kv_head = [](Index head, Index group, Index kv_heads) {
           return std::min((head + 1) / group, kv_heads - 1);
         };
       },
       [](const CaseShape& shape) { return shape.num_kv_heads > 1 && shape.num_q_heads > 3; }},
      {"KV heads swapped",
       [](CaseRank& rank, Kernel&) {  // three, in a circle
         exchange(rank.key, 0, 1);
         exchange(rank.key, 1, 2);
       },
       kv_heads(3)},
      {"lse in base 2",
       [](CaseRank&, Kernel& kernel) { kernel.lse_factor = std::numbers::log10e; }},
      {"softmax scale",
       [](CaseRank&, Kernel& kernel) { kernel.scale = [](double s) { return 1.1 * s; }; }},
      {"passing blocks of the ranks", [](CaseRank& rank, Kernel&) { rotate_values(rank, 1); },
       passes},
      {"tile border",
       [](CaseRank&, Kernel& kernel) {  // block rows of no tile that lies on the border
         kernel.visible = [](Segment q, Index i, Segment k, Index j) {
           return is_visible(q, i, k, j) && !(k == Segment::kPassing && i >= 3 && i < 9);
         };
       },
       passes},
  };
  return all;
}

}  // namespace apb
