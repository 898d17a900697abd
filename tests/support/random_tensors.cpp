#include "tests/support/random_tensors.hpp"

#include <algorithm>

namespace apb {

double RandomTensors::uniform() {
  return static_cast<double>(generator_() >> 11U) * 0x1.0p-52 - 1.0;
}

Index RandomTensors::below(Index bound) {
  return static_cast<Index>(generator_() % static_cast<std::uint64_t>(bound));
}

template <class Scalar>
HeadsTensor<Scalar> RandomTensors::heads(Index rows, Index num_heads, Index head_dim) {
  HeadsTensor<Scalar> tensor(rows, num_heads, head_dim);
  for (Scalar& value : tensor.values()) value = static_cast<Scalar>(uniform());
  return tensor;
}

template <class Scalar>
HeadsTensor<Scalar> RandomTensors::heads_of_eighths(Index rows, Index num_heads, Index head_dim) {
  HeadsTensor<Scalar> tensor(rows, num_heads, head_dim);
  for (Scalar& value : tensor.values()) value = static_cast<Scalar>(below(17) - 8) / Scalar{8};
  return tensor;
}

template <class Scalar>
Matrix<Scalar> RandomTensors::matrix(Index rows, Index columns) {
  Matrix<Scalar> result(rows, columns);
  for (Scalar& value : result.reshaped()) value = static_cast<Scalar>(uniform());
  return result;
}

std::vector<int> RandomTensors::tokens(Index count, int vocab_size) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) id = static_cast<int>(below(vocab_size));
  return ids;
}

std::vector<Index> RandomTensors::split(Index total, int parts) {
  std::vector<Index> cuts{0, total};
  for (int cut = 1; cut < parts; ++cut) cuts.push_back(below(total + 1));
  std::sort(cuts.begin(), cuts.end());
  std::vector<Index> lens;
  for (std::size_t i = 1; i < cuts.size(); ++i) lens.push_back(cuts[i] - cuts[i - 1]);
  return lens;
}

template HeadsTensor<float> RandomTensors::heads(Index, Index, Index);
template HeadsTensor<double> RandomTensors::heads(Index, Index, Index);
template HeadsTensor<float> RandomTensors::heads_of_eighths(Index, Index, Index);
template HeadsTensor<double> RandomTensors::heads_of_eighths(Index, Index, Index);
template Matrix<float> RandomTensors::matrix(Index, Index);
template Matrix<double> RandomTensors::matrix(Index, Index);

}  // namespace apb
