#include "reference/core/matrix_product.hpp"

namespace apb {

template <class Scalar>
void multiply_transposed(const ConstMatrixPart<Scalar>& a, const ConstMatrixPart<Scalar>& b,
                         MatrixPart<Scalar> y) {
  y.noalias() = a * b.transpose();
}

template <class Scalar>
void add_product(const ConstMatrixPart<Scalar>& a, const ConstMatrixPart<Scalar>& b,
                 MatrixPart<Scalar> y) {
  y.noalias() += a * b;
}

template void multiply_transposed<float>(const ConstMatrixPart<float>&,
                                         const ConstMatrixPart<float>&, MatrixPart<float>);
template void multiply_transposed<double>(const ConstMatrixPart<double>&,
                                          const ConstMatrixPart<double>&, MatrixPart<double>);
template void add_product<float>(const ConstMatrixPart<float>&, const ConstMatrixPart<float>&,
                                 MatrixPart<float>);
template void add_product<double>(const ConstMatrixPart<double>&, const ConstMatrixPart<double>&,
                                  MatrixPart<double>);

}  // namespace apb
