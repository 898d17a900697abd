// Products by cuBLASLt against the same in double, on the same rounded inputs, by the judge of
// steps.

#include "cuda/layer/matrix_product.hpp"
#include "tests/cuda/device_matrix.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

struct ProductShape {
  Index rows, inputs, outputs;
  bool bias = false, add = false;
  Index gap = 8;  ///< elements between rows of x and y
};

/// A row of weights for the bias, dense as weights are.
template <class T>
std::vector<T> dense(const Matrix<double>& values) {
  std::vector<T> memory;
  for (Index i = 0; i < values.size(); ++i) {
    memory.emplace_back(static_cast<float>(values.data()[i]));
  }
  return memory;
}

template <class T>
Matrix<double> rounded(const Matrix<double>& values) {
  return values.unaryExpr([](double value) { return round_to(kValueType<T>, value); });
}

template <class T, class Out>
void check_product(const ProductShape& shape) {
  const cuda::Stream stream;
  RandomTensors random(71);
  const Rows<T> x(random.matrix<double>(shape.rows, shape.inputs), stream, shape.gap);
  const Matrix<double> w = rounded<T>(random.matrix<double>(shape.outputs, shape.inputs));
  const Matrix<double> bias = rounded<T>(random.matrix<double>(1, shape.outputs) * 4);
  const auto w_there = cuda::to_device(dense<T>(w), stream.get());
  const auto bias_there = cuda::to_device(dense<T>(bias), stream.get());
  const Rows<Out> y(random.matrix<double>(shape.rows, shape.outputs) * 4, stream, shape.gap);

  cuda::MatrixProducts products;
  const cuda::MatrixProduct<T, Out> product{x.constant(), w_there.data(), y.view(),
                                            shape.bias ? bias_there.data() : nullptr, shape.add};
  products.enqueue(product, stream.get());

  const StepTruth truth = true_product(
      {x.host, w, shape.bias ? &bias : nullptr, shape.add ? &y.host : nullptr}, kValueType<Out>);
  INFO(shape.rows << " x " << shape.inputs << " x " << shape.outputs << ", gap " << shape.gap
                  << (shape.bias ? ", bias" : "") << (shape.add ? ", added" : ""));
  bool gaps_kept = true;
  check_step<Out>(y.read(gaps_kept, stream), truth);
  CHECK(gaps_kept);
}

}  // namespace

TEST_CASE("cuda: products of any number of rows, with bias, added to what is there",
          "[reduced][products]") {
  for (const Index rows : {1, 3, 64, 129, 300}) {
    for (const auto& [inputs, outputs] :
         std::vector<std::pair<Index, Index>>{{64, 8}, {576, 960}, {1536, 576}}) {
      check_product<cuda::Bfloat16, cuda::Bfloat16>({rows, inputs, outputs});
      check_product<cuda::Bfloat16, cuda::Bfloat16>({rows, inputs, outputs, true});
      check_product<cuda::Float16, cuda::Float16>({rows, inputs, outputs, true});
      check_product<cuda::Bfloat16, cuda::Bfloat16>({rows, inputs, outputs, false, true});
      check_product<cuda::Float16, cuda::Float16>({rows, inputs, outputs, false, true});
      check_product<cuda::Float16, float>({rows, inputs, outputs});
      check_product<cuda::Bfloat16, float>({rows, inputs, outputs});
    }
  }
}

TEST_CASE("cuda: products whose rows begin at any even element, three outputs",
          "[reduced][products]") {
  for (const Index gap : {0, 2, 4, 6}) {
    check_product<cuda::Bfloat16, cuda::Bfloat16>({17, 64, 96, false, false, gap});
    check_product<cuda::Float16, float>({17, 576, 3, false, false, gap});
    check_product<cuda::Bfloat16, float>({5, 960, 3, false, false, gap});
  }
}

TEST_CASE("cuda: a product of no rows does nothing; shapes that do not fit are refused",
          "[reduced][products]") {
  check_product<cuda::Bfloat16, cuda::Bfloat16>({0, 64, 8});
  const cuda::Stream stream;
  cuda::MatrixProducts products;
  const cuda::DeviceBuffer<cuda::Bfloat16> memory(4096);
  const auto rows = [&](Index count, Index columns) {
    return cuda::DeviceRows<cuda::Bfloat16>::dense(memory.data(), count, columns);
  };
  CHECK(refusal([&] {
          products.enqueue<cuda::Bfloat16, cuda::Bfloat16>(
              {rows(3, 64), memory.data(), rows(2, 8), nullptr, false}, stream.get());
        }) == "cuda product: rows of y = 2: must be those of x (3)");
}

TEST_CASE("cuda: a product gives the same bits a hundred times, in whichever object") {
  const cuda::Stream stream;
  RandomTensors random(72);
  for (const Index rows : {1, 200}) {
    const Rows<cuda::Bfloat16> x(random.matrix<double>(rows, 4096), stream, 8);
    const auto w =
        cuda::to_device(dense<cuda::Bfloat16>(random.matrix<double>(512, 4096)), stream.get());
    const cuda::DeviceBuffer<float> y(static_cast<std::size_t>(rows * 512));
    std::vector<float> first;
    bool same = true;
    for (int run = 0; run < 100; ++run) {
      cuda::MatrixProducts products;
      products.enqueue<cuda::Bfloat16, float>(
          {x.constant(), w.data(), cuda::DeviceRows<float>::dense(y.data(), rows, 512), nullptr,
           false},
          stream.get());
      const auto found = cuda::to_host(y, stream.get());
      if (run == 0) first = found;
      same &= found == first;
    }
    CHECK(same);
  }
}

}  // namespace apb
