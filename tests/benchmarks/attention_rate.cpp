// Rate of attention and of the model's products, each as a ratio to Eigen's own product measured in
// the same run. Not a test: run it on a quiet machine.

#include <fmt/core.h>
#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

#include "reference/attention/attention.hpp"
#include "reference/core/parallel_for.hpp"
#include "reference/model/linear.hpp"

namespace apb {
namespace {

constexpr int kRuns = 7;

/// Seconds of several runs after a warm-up, ascending.
template <class Work>
std::vector<double> time_runs(const Work& work) {
  std::vector<double> seconds;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  seconds.erase(seconds.begin());
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

/// Prints and returns the median rate.
double report(const char* what, double flop, const std::vector<double>& seconds) {
  const auto rate = [&](double s) { return flop / s * 1e-9; };
  const double median = rate(seconds[seconds.size() / 2]);
  fmt::print("{:<58} {:>7.1f} GFLOP/s (slowest {:.1f}, fastest {:.1f})\n", what, median,
             rate(seconds.back()), rate(seconds.front()));
  return median;
}

template <class Scalar>
HeadsTensor<Scalar> random_tensor(Index rows, Index heads, Index head_dim) {
  HeadsTensor<Scalar> tensor(rows, heads, head_dim);
  std::mt19937_64 generator(1);
  for (Scalar& value : tensor.values()) {
    value = static_cast<Scalar>(static_cast<double>(generator() >> 11U) * 0x1.0p-53 - 0.5);
  }
  return tensor;
}

/// Eigen's own product, one per thread at a time, each single-threaded: what the cores can give.
template <class Scalar>
double eigen_rate(const char* what, Index rows, Index inner, Index columns) {
  const int threads = num_threads();
  std::vector<Matrix<Scalar>> a(static_cast<std::size_t>(threads),
                                Matrix<Scalar>::Random(rows, inner));
  std::vector<Matrix<Scalar>> b(static_cast<std::size_t>(threads),
                                Matrix<Scalar>::Random(columns, inner));
  std::vector<Matrix<Scalar>> c(static_cast<std::size_t>(threads), Matrix<Scalar>(rows, columns));
  const auto seconds = time_runs([&] {
    parallel_for(threads, [&](Index thread) {
      const auto t = static_cast<std::size_t>(thread);
      c[t].noalias() = a[t] * b[t].transpose();
    });
  });
  const double flop = 2.0 * threads * static_cast<double>(rows * inner * columns);
  return report(what, flop, seconds);
}

void attention_in_double() {
  constexpr Index kRows = 4096;
  constexpr Index kHeads = 8;
  constexpr Index kHeadDim = 128;
  const double eigen =
      eigen_rate<double>("Eigen product, double, 1024^3 on every core", 1024, 1024, 1024);
  const auto query = random_tensor<double>(kRows, kHeads, kHeadDim);
  const auto key = random_tensor<double>(kRows, kHeads, kHeadDim);
  const auto value = random_tensor<double>(kRows, kHeads, kHeadDim);
  const std::array<KeySegment<double>, 1> causal{{{key.view(), value.view(), Visibility::kCausal}}};
  Counters counters;
  const auto seconds = time_runs([&] {
    counters = {};
    (void)attend<double>(query.view(), causal, 0.088, counters);
  });
  const double attention = report("attention, double, causal, n 4096, 8 heads, d 128",
                                  static_cast<double>(counters.attention_flop), seconds);
  fmt::print("  ratio to Eigen's product: {:.2f} (target 0.50)\n\n", attention / eigen);
}

void model_products() {
  constexpr Index kRows = 2048;
  constexpr Index kHidden = 576;
  constexpr Index kIntermediate = 1536;
  const double eigen =
      eigen_rate<float>("Eigen product, float, 1024^3 on every core", 1024, 1024, 1024);
  for (const auto& [inputs, outputs] :
       {std::pair{kHidden, kHidden}, std::pair{kHidden, kIntermediate},
        std::pair{kIntermediate, kHidden}}) {
    const Matrix<float> x = Matrix<float>::Random(kRows, inputs);
    const Matrix<float> w = Matrix<float>::Random(outputs, inputs);
    Matrix<float> y(kRows, outputs);
    const auto seconds = time_runs([&] { (void)linear<float>(x, w, y); });
    const double rate =
        report(fmt::format("linear, float, 2048 x {} x {}", inputs, outputs).c_str(),
               2.0 * static_cast<double>(kRows * inputs * outputs), seconds);
    fmt::print("  ratio to Eigen's product: {:.2f} (target 0.85)\n", rate / eigen);
  }
}

}  // namespace
}  // namespace apb

int main() {
  fmt::print("{} threads, median of {} runs after a warm-up\n\n", apb::num_threads(), apb::kRuns);
  apb::attention_in_double();
  apb::model_products();
}
