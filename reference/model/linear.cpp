#include "reference/model/linear.hpp"

#include <algorithm>
#include <stdexcept>

#include "reference/core/matrix_product.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

// Large enough that packing the operands costs little, small enough to share among threads.
constexpr Index kRowTile = 256;
constexpr Index kColumnPanel = 512;

}  // namespace

template <class Scalar>
std::int64_t linear(const Eigen::Ref<const Matrix<Scalar>>& x, const Matrix<Scalar>& w,
                    Eigen::Ref<Matrix<Scalar>> y) {
  if (x.cols() != w.cols() || y.rows() != x.rows() || y.cols() != w.rows()) {
    throw std::invalid_argument("linear: shapes do not fit");
  }
  const Index row_tiles = (x.rows() + kRowTile - 1) / kRowTile;
  const Index column_panels = (w.rows() + kColumnPanel - 1) / kColumnPanel;
  parallel_for(row_tiles * column_panels, [&](Index block) {
    const Index row = block % row_tiles * kRowTile;
    const Index column = block / row_tiles * kColumnPanel;
    const Index rows = std::min(kRowTile, x.rows() - row);
    const Index columns = std::min(kColumnPanel, w.rows() - column);
    multiply_transposed<Scalar>(x.middleRows(row, rows), w.middleRows(column, columns),
                                y.block(row, column, rows, columns));
  });
  return 2 * x.rows() * x.cols() * w.rows();
}

template std::int64_t linear(const Eigen::Ref<const Matrix<float>>&, const Matrix<float>&,
                             Eigen::Ref<Matrix<float>>);
template std::int64_t linear(const Eigen::Ref<const Matrix<double>>&, const Matrix<double>&,
                             Eigen::Ref<Matrix<double>>);

}  // namespace apb
