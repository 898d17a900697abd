#include "reference/attention/retaining_head.hpp"

#include <algorithm>
#include <stdexcept>

#include "reference/core/matrix_product.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

/// Rows that one thread scores at a time. Fixed, so that no result depends on the threads.
constexpr Index kRowTile = 64;

/// x = silu(x), silu(x) = x / (1 + exp(-x)).
template <class Scalar>
void silu(Matrix<Scalar>& x) {
  x.array() /= Scalar{1} + (-x.array()).exp();
}

}  // namespace

template <class Scalar>
Matrix<Scalar> retaining_scores(const RetainingHead<Scalar>& head, const Matrix<Scalar>& features,
                                Counters& counters) {
  const bool linear = head.fc2.size() == 0;
  if (head.fc1.cols() != features.cols() || (!linear && head.fc2.cols() != head.fc1.rows())) {
    throw std::invalid_argument("retaining_scores: shapes do not fit");
  }
  Matrix<Scalar> scores(features.rows(), linear ? head.fc1.rows() : head.fc2.rows());
  parallel_for((features.rows() + kRowTile - 1) / kRowTile, [&](Index tile) {
    const Index begin = tile * kRowTile;
    const Index rows = std::min(kRowTile, features.rows() - begin);
    const auto input = features.middleRows(begin, rows);
    auto output = scores.middleRows(begin, rows);
    if (linear) {
      multiply_transposed<Scalar>(input, head.fc1, output);
    } else {
      Matrix<Scalar> hidden(rows, head.fc1.rows());
      multiply_transposed<Scalar>(input, head.fc1, hidden);
      silu(hidden);
      multiply_transposed<Scalar>(hidden, head.fc2, output);
    }
  });
  counters.compressor_flop += 2 * features.rows() * (head.fc1.size() + head.fc2.size());
  return scores;
}

template Matrix<float> retaining_scores(const RetainingHead<float>&, const Matrix<float>&,
                                        Counters&);
template Matrix<double> retaining_scores(const RetainingHead<double>&, const Matrix<double>&,
                                         Counters&);

}  // namespace apb
