// The steps between a layer's matrix products against the truth on the same rounded inputs, by the
// judge of steps. Rows lie apart, and what is between them is NaN and stays so.

#include "cuda/layer/layer_steps.hpp"
#include "reference/core/weights/rope.hpp"
#include "tests/cuda/device_matrix.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

template <class T>
void check_rms_norm(Index rows, Index columns, double eps) {
  const cuda::Stream stream;
  RandomTensors random(61);
  Matrix<double> values = random.matrix<double>(rows, columns) * 3;
  if (rows > 1) values.row(1) *= 1e-3;
  const Rows<T> x(values, stream), weight(random.matrix<double>(1, columns), stream);
  const Rows<T> out(Matrix<double>::Constant(rows, columns, 999), stream);
  cuda::rms_norm(x.constant(), weight.there.data(), eps, out.view(), stream.get());
  const StepTruth truth = true_rms_norm(x.host, weight.host, eps);
  INFO(rows << " x " << columns);
  bool gaps_kept = true;
  check_step<T>(out.read(gaps_kept, stream), truth);
  cuda::rms_norm(x.constant(), weight.there.data(), eps, x.view(), stream.get());  // in place
  check_step<T>(x.read(gaps_kept, stream), truth);
  CHECK(gaps_kept);
}

template <class T>
void check_swiglu(Index rows, Index columns) {
  const cuda::Stream stream;
  RandomTensors random(62);
  const Rows<T> gate(random.matrix<double>(rows, columns) * 100, stream);
  const Rows<T> up(random.matrix<double>(rows, columns) * 3, stream);
  cuda::swiglu(gate.constant(), up.constant(), gate.view(), stream.get());
  INFO(rows << " x " << columns);
  bool gaps_kept = true;
  check_step<T>(gate.read(gaps_kept, stream), true_swiglu(gate.host, up.host));
  CHECK(gaps_kept);
}

template <class T>
void check_rope(const std::vector<Index>& positions, Index heads, Index head_dim) {
  const cuda::Stream stream;
  RandomTensors random(63);
  const Index rows = std::ssize(positions), half = head_dim / 2;
  const Rows<T> x(random.matrix<double>(rows, heads * head_dim), stream);
  const RopeTable<float> table(positions, head_dim, 500000, {});
  std::vector<float> cosine, sine;
  for (Index row = 0; row < rows; ++row) {
    for (Index i = 0; i < half; ++i) {
      cosine.push_back(table.cosine(row, i));
      sine.push_back(table.sine(row, i));
    }
  }
  const auto cosine_there = cuda::to_device(cosine, stream.get());
  const auto sine_there = cuda::to_device(sine, stream.get());
  cuda::apply_rope(
      cuda::DeviceHeads<T>{x.there.data(), rows, heads, head_dim, x.stride(), head_dim},
      cosine_there.data(), sine_there.data(), stream.get());
  bool gaps_kept = true;
  check_step<T>(x.read(gaps_kept, stream),
                true_rope(x.host, RopeTable<double>(positions, head_dim, 500000, {})));
  CHECK(gaps_kept);
}

}  // namespace

TEST_CASE("cuda: RMSNorm, of rows that lie apart and in place", "[reduced]") {
  for (const Index columns : {2, 64, 510, 512, 514, 576, 4096, 8192}) {
    for (const Index rows : {1, 3}) {
      check_rms_norm<cuda::Bfloat16>(rows, columns, 1e-5);
      check_rms_norm<cuda::Float16>(rows, columns, 1e-6);
    }
  }
}

TEST_CASE("cuda: SwiGLU, in place of the gate", "[reduced]") {
  for (const Index columns : {2, 510, 512, 514, 14336}) {
    check_swiglu<cuda::Bfloat16>(3, columns);
    check_swiglu<cuda::Float16>(1, columns);
  }
}

// Bug list 13: angles at positions that bf16, or fast sines, cannot tell.
TEST_CASE("cuda: RoPE at 0, 257, 128K and 1M", "[reduced]") {
  const std::vector<Index> positions = {0, 1, 257, 131071, 1048575};
  for (const Index head_dim : {64, 128}) {
    check_rope<cuda::Bfloat16>(positions, 5, head_dim);
    check_rope<cuda::Float16>(positions, 1, head_dim);
  }
}

TEST_CASE("cuda: what a step cannot take is refused with one line") {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<cuda::Bfloat16> memory(64);
  const auto rows = [&](Index count, Index columns) {
    return cuda::DeviceRows<cuda::Bfloat16>::dense(memory.data(), count, columns);
  };
  const auto constant = [&](Index count, Index columns) {
    return cuda::DeviceRows<const cuda::Bfloat16>::dense(memory.data(), count, columns);
  };
  CHECK(refusal([&] { cuda::swiglu(constant(2, 8), constant(2, 6), rows(2, 8), stream.get()); }) ==
        "cuda swiglu: up shape = 2 x 6: must be 2 x 8");
  CHECK(refusal([&] {
          cuda::rms_norm(constant(2, 7), memory.data(), 1e-5, rows(2, 7), stream.get());
        }).find("must be even, even, a multiple of 4") != std::string::npos);
}

}  // namespace apb
