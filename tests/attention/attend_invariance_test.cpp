// What must not change a single bit of attend(): threads, where in memory the inputs lie, strides.

#include <algorithm>

#include "reference/core/parallel_for.hpp"
#include "tests/attention/attention_case.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/moved_tensor.hpp"

namespace apb {
namespace {

/// Sizes at which Eigen takes different paths: single rows and columns, tiny products, blocked
/// ones.
template <class Scalar>
std::vector<AttentionCase<Scalar>> cases() {
  RandomTensors random(31);
  std::vector<AttentionCase<Scalar>> all;
  for (const Index head_dim : {1, 3, 8, 13, 64}) {
    for (const Index rows : {1, 2, 5, 17, 65, 113}) {
      all.emplace_back(random, rows, HeadShape{4, 2, head_dim},
                       std::vector<SegmentShape>{{1, kAll}, {rows, kCausal}});
      all.emplace_back(random, rows, HeadShape{3, 3, head_dim},
                       std::vector<SegmentShape>{{7, kAll}, {203, kAll}});
    }
  }
  return all;
}

template <class Scalar>
AttentionPartial<Scalar> attend_moved(const AttentionCase<Scalar>& work, Index shift, Index gap) {
  const MovedTensor<Scalar> query(work.query, shift, gap);
  std::vector<MovedTensor<Scalar>> moved;
  for (std::size_t s = 0; s < work.keys.size(); ++s) {
    moved.emplace_back(work.keys[s], shift, gap);
    moved.emplace_back(work.values[s], shift, gap);
  }
  std::vector<KeySegment<Scalar>> segments;
  for (std::size_t s = 0; s < work.keys.size(); ++s) {
    segments.push_back({moved[2 * s].view(), moved[2 * s + 1].view(), work.visibilities[s]});
  }
  Counters counters;
  return attend<Scalar>(query.view(), segments, work.softmax_scale, counters);
}

TEMPLATE_TEST_CASE("one thread or several: the same bits", "[attention]", float, double) {
  const int threads_before = num_threads();
  for (const auto& work : cases<TestType>()) {
    CAPTURE(work.query.rows(), work.query.head_dim(), work.num_keys());
    set_num_threads(1);
    const auto alone = work.attend_all();
    for (const int threads : {2, 3}) {
      set_num_threads(threads);
      CHECK(bit_equal(work.attend_all(), alone));
    }
  }
  set_num_threads(threads_before);
}

TEMPLATE_TEST_CASE("the same call again: the same bits", "[attention]", float, double) {
  RandomTensors random(32);
  for (const Index rows : {1, 2, 5}) {
    for (const Index head_dim : {4, 8, 13}) {
      for (const Index keys : {1, 2, 3, 7, 11}) {
        const AttentionCase<TestType> work(random, rows, {3, 3, head_dim}, {{keys, kAll}});
        CAPTURE(rows, head_dim, keys);
        // Results that are kept make the next one lie elsewhere in memory.
        std::vector<AttentionPartial<TestType>> results(8);
        for (auto& result : results) result = work.attend_all();
        const auto same = [&](const auto& result) { return bit_equal(result, results.front()); };
        CHECK(std::all_of(results.begin(), results.end(), same));
      }
    }
  }
}

TEMPLATE_TEST_CASE("anywhere in memory: the same bits", "[attention]", float, double) {
  const Index shift = GENERATE(1, 2, 3, 5, 8);
  for (const auto& work : cases<TestType>()) {
    CAPTURE(shift, work.query.rows(), work.query.head_dim(), work.num_keys());
    CHECK(bit_equal(attend_moved(work, shift, 0), attend_moved(work, 0, 0)));
  }
}

TEMPLATE_TEST_CASE("rows that lie apart: the same bits", "[attention]", float, double) {
  const Index gap = GENERATE(1, 5, 64);
  for (const auto& work : cases<TestType>()) {
    CAPTURE(gap, work.query.rows(), work.query.head_dim(), work.num_keys());
    CHECK(bit_equal(attend_moved(work, 0, gap), work.attend_all()));
  }
}

}  // namespace
}  // namespace apb
