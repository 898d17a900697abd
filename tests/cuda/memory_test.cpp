// Too little device memory: one line that names the bytes, nothing leaks, and the next job in the
// same process is right. Fills the GPU, so nothing else may run on it meanwhile.

#include "tests/cuda/gpu_model.hpp"
#include "tests/cuda/taken_memory.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

/// Enough for what CUDA needs itself, not for a product's workspace of 32 MiB.
constexpr std::size_t kLeftBytes = 24 * kMiB;

/// Failures in a row, and what the driver may keep after them: it takes memory in chunks of 2 MiB.
/// A leak of 100 KiB a failure would be more.
constexpr int kFailures = 40;
constexpr std::size_t kKeptByDriver = 4 * kMiB;

/// The line with which work cannot run.
template <class Work>
std::string line_of_failure(const Work& work) {
  try {
    work();
  } catch (const CannotRun& error) {
    return error.what();
  }
  return "it could";
}

bool contains(const std::string& line, const std::string& words) {
  return line.find(words) != std::string::npos;
}

GpuCase small_job(const ModelShape& shape) {
  ApbConfig config;
  config.doc_len = 700;
  config.num_ranks = 3;
  config.anchor_len = 21;
  config.embedded_query_len = 5;
  config.compressor = Compressor::kRetainingHead;
  config.num_kept = 13;
  return make_gpu_case(Method::kApb, config, shape, 92);
}

}  // namespace

TEST_CASE("cuda: memory that there cannot be is refused with its bytes") {
  const std::size_t before = free_device_bytes();
  const std::string line =
      line_of_failure([] { const cuda::DeviceBuffer<double> much(std::size_t{1} << 37); });
  INFO(line);
  CHECK(contains(line,
                 "CUDA: out of memory (cudaErrorMemoryAllocation): 1099511627776 bytes are "
                 "wanted, "));
  CHECK(contains(line, " are free at "));
  CHECK(contains(line, "memory_test.cpp"));
  CHECK(free_device_bytes() == before);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("cuda: a job that finds too little memory says so, leaks nothing, and can be run again") {
  const auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  const GpuCase job = small_job(weights.shape);
  const auto right = run_gpu_ranks<cuda::Bfloat16>(job, weights);
  const auto without_memory = [&] {
    const auto taken = take_all_but(kLeftBytes);
    return line_of_failure([&] { (void)run_gpu_ranks<cuda::Bfloat16>(job, weights); });
  };
  (void)without_memory();  // what CUDA allocates once and keeps
  const std::size_t before = free_device_bytes();
  for (int run = 0; run < kFailures; ++run) {
    const std::string line = without_memory();
    INFO(line);
    CHECK(contains(line, "33554432 bytes are wanted"));
  }
  CHECK(free_device_bytes() + kKeptByDriver >= before);
  CHECK(run_gpu_ranks<cuda::Bfloat16>(job, weights) == right);
  CHECK(free_device_bytes() + kKeptByDriver >= before);
}

TEST_CASE("cuda: heads of 80 are refused by a whole model with one line") {
  const auto weights = gpu_model_weights({80, 6, 2, 0}, ValueType::kBfloat16);
  CHECK(refusal([&] { (void)run_gpu_ranks<cuda::Bfloat16>(small_job(weights.shape), weights); }) ==
        "cuda attention: head_dim = 80: must be 64 or 128");
}

}  // namespace apb
