// Bug list 12: rows, heads and slices may lie further apart than 32 bits count.

#include <cmath>

#include "cuda/attention/three_segments.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"
#include "tests/cuda/attention_problem.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

/// Enough for two rows or heads that are 2^31 elements apart, and some more.
constexpr Index kFar = (Index{1} << 31) + 4096;
constexpr Index kElements = kFar + (Index{1} << 20);

void put(const std::vector<cuda::Bfloat16>& values, cuda::Bfloat16* to, cudaStream_t stream) {
  cuda::copy_to_device<cuda::Bfloat16>(values, to, stream);
}

std::vector<cuda::Bfloat16> rounded(const double* first, Index count) {
  std::vector<cuda::Bfloat16> values;
  for (Index i = 0; i < count; ++i) values.emplace_back(static_cast<float>(first[i]));
  return values;
}

}  // namespace

TEST_CASE("cuda: strides beyond 32 bits") {
  ProblemShape shape;
  shape.block_rows = 2;
  shape.num_q_heads = 2;
  shape.num_kv_heads = 2;
  const AttentionProblem problem(shape, 31);
  const Index d = shape.head_dim;
  const cuda::Stream stream;

  std::size_t free_bytes = 0, total_bytes = 0;
  cuda::check(cudaMemGetInfo(&free_bytes, &total_bytes));
  if (free_bytes < 2 * sizeof(cuda::Bfloat16) * static_cast<std::size_t>(kElements)) {
    std::puts("SKIPPED: not on this machine: 9 GB of free device memory");
    return;
  }
  // Row 1 lies far behind row 0, query, key, value and out of a row next to one another.
  for (const bool far_heads : {false, true}) {
    const cuda::DeviceBuffer<cuda::Bfloat16> memory(static_cast<std::size_t>(kElements));
    const auto view = [&](Index place) {
      const Index first = 512 * place;
      return far_heads ? cuda::DeviceHeads<cuda::Bfloat16>{memory.data() + first, 2, 2, d, d, kFar}
                       : cuda::DeviceHeads<cuda::Bfloat16>{memory.data() + first, 2, 2, d, kFar, d};
    };
    const HeadsTensor<double>* tensors[] = {&problem.block_query, &problem.block.key,
                                            &problem.block.value};
    for (Index place = 0; place < 3; ++place) {
      for (Index row = 0; row < 2; ++row) {
        for (Index head = 0; head < 2; ++head) {
          const auto to = view(place);
          put(rounded(tensors[place]->view().at(row, head), d),
              to.data + row * to.row_stride + head * to.head_stride, stream.get());
        }
      }
    }
    const cuda::DeviceBuffer<float> lse(4);
    cuda::ThreeSegments<cuda::Bfloat16> call;
    call.block_rows = {view(0), view(3), lse.data()};
    call.block = {view(1), view(2)};
    call.softmax_scale = problem.softmax_scale;
    cuda::attend(call, stream.get());

    HeadsTensor<double> out(2, 2, d);
    for (Index row = 0; row < 2; ++row) {
      for (Index head = 0; head < 2; ++head) {
        std::vector<cuda::Bfloat16> values(static_cast<std::size_t>(d));
        const auto from = view(3);
        cuda::check(cudaMemcpyAsync(
            values.data(), from.data + row * from.row_stride + head * from.head_stride,
            values.size() * sizeof(values[0]), cudaMemcpyDeviceToHost, stream.get()));
        stream.synchronize();
        for (Index i = 0; i < d; ++i) {
          out.view().at(row, head)[i] =
              static_cast<double>(static_cast<float>(values[static_cast<std::size_t>(i)]));
        }
      }
    }
    const std::vector<float> host_lse = cuda::to_host(lse, stream.get());
    Matrix<double> lse_matrix(2, 2);
    for (Index i = 0; i < 4; ++i) {
      lse_matrix(i / 2, i % 2) = static_cast<double>(host_lse[static_cast<std::size_t>(i)]);
    }
    const BudgetUse use =
        budget_use(shape.type, problem.block_query.view(), problem.block_segments(),
                   problem.softmax_scale, out, lse_matrix);
    INFO(use);
    CHECK(use.is_right());
  }
}

}  // namespace apb
