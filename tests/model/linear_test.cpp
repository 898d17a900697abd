#include "reference/model/linear.hpp"

#include <limits>
#include <stdexcept>

#include "reference/core/parallel_for.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

TEMPLATE_TEST_CASE("linear equals the triple loop, on both sides of every tile border", "[linear]",
                   float, double) {
  RandomTensors random(131);
  constexpr auto kEps = static_cast<double>(std::numeric_limits<TestType>::epsilon());
  for (const Index rows : {0, 1, 2, 17, 255, 256, 257}) {
    for (const Index outputs : {1, 3, 511, 512, 513}) {
      for (const Index inputs : {1, 5, 32}) {
        const auto x = random.matrix<TestType>(rows, inputs);
        const auto w = random.matrix<TestType>(outputs, inputs);
        Matrix<TestType> y = Matrix<TestType>::Constant(rows, outputs, 1e9F);
        CAPTURE(rows, outputs, inputs);
        CHECK(linear<TestType>(x, w, y) == 2 * rows * outputs * inputs);
        const auto expected = naive_linear(Matrix<double>(x.template cast<double>()), w);
        const auto n = static_cast<double>(inputs);
        CHECK(compare(y, expected) <= n * n * kEps);  // n terms of size 1, partial sums up to n
      }
    }
  }
}

TEMPLATE_TEST_CASE("linear does not depend on the number of threads", "[linear]", float, double) {
  RandomTensors random(132);
  const auto x = random.matrix<TestType>(300, 40);
  const auto w = random.matrix<TestType>(1100, 40);
  const int threads_before = num_threads();
  std::vector<Matrix<TestType>> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Matrix<TestType> y(300, 1100);
    linear<TestType>(x, w, y);
    results.push_back(y);
  }
  set_num_threads(threads_before);
  CHECK(bit_equal(results[1], results[0]));
  CHECK(bit_equal(results[2], results[0]));
}

TEMPLATE_TEST_CASE("linear gives the same bits wherever its result lies", "[linear]", float,
                   double) {
  RandomTensors random(133);
  for (const Index rows : {1, 2, 5}) {
    for (const Index outputs : {1, 4, 9, 40}) {
      for (const Index inputs : {1, 3, 8, 40}) {
        const auto x = random.matrix<TestType>(rows, inputs);
        const auto w = random.matrix<TestType>(outputs, inputs);
        Matrix<TestType> expected(rows, outputs);
        linear<TestType>(x, w, expected);
        for (const Index shift : {1, 2, 3, 5}) {
          CAPTURE(rows, outputs, inputs, shift);
          std::vector<TestType> room(static_cast<std::size_t>(shift + rows * outputs));
          Eigen::Map<Matrix<TestType>> y(room.data() + shift, rows, outputs);
          linear<TestType>(x, w, y);
          CHECK(bit_equal(Matrix<TestType>(y), expected));
        }
      }
    }
  }
}

TEST_CASE("linear refuses shapes that do not fit", "[linear]") {
  const Matrix<double> x = Matrix<double>::Zero(2, 3);
  const Matrix<double> w = Matrix<double>::Zero(5, 3);
  Matrix<double> y(2, 5);
  CHECK_NOTHROW(linear<double>(x, w, y));
  Matrix<double> short_y(1, 5);
  CHECK_THROWS_AS(linear<double>(x, w, short_y), std::invalid_argument);
  Matrix<double> narrow_y(2, 4);
  CHECK_THROWS_AS(linear<double>(x, w, narrow_y), std::invalid_argument);
  const Matrix<double> other_w = Matrix<double>::Zero(5, 4);
  CHECK_THROWS_AS(linear<double>(x, other_w, y), std::invalid_argument);
}

}  // namespace
}  // namespace apb
