#include "cuda/check.hpp"
#include "cuda/mix_bits.cuh"
#include "cuda/multi/message_pattern.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::uint64_t kNumbers = 7;  // sums of 32 of them stay below 256, which bf16 holds

__device__ std::uint16_t word(int sender, Index place) {
  const auto from = static_cast<std::uint64_t>(sender) << 48U;
  return static_cast<std::uint16_t>(mix(from ^ static_cast<std::uint64_t>(place)));
}

__device__ float number(int sender, Index place) {
  return static_cast<float>(word(sender, place) % kNumbers);
}

/// A thread an element.
template <class Work>
__global__ void each(Index count, Work work) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) work(i);
}

template <class Work>
void launch(Index count, cudaStream_t stream, const Work& work) {
  if (count == 0) return;
  each<<<static_cast<unsigned>((count + kThreads - 1) / kThreads), kThreads, 0, stream>>>(count,
                                                                                          work);
  check_launch();
}

struct FillWords {
  std::uint16_t* words;
  int sender;
  Index first;
  __device__ void operator()(Index i) const { words[i] = word(sender, first + i); }
};

struct CountWords {
  const std::uint16_t* words;
  int sender;
  Index first;
  unsigned long long* wrong;
  __device__ void operator()(Index i) const {
    if (words[i] != word(sender, first + i)) atomicAdd(wrong, 1ULL);
  }
};

struct FillNumbers {
  Bfloat16* numbers;
  int sender;
  __device__ void operator()(Index i) const {
    numbers[i] = static_cast<Bfloat16>(number(sender, i));
  }
};

struct CountSums {
  const Bfloat16* sums;
  int num_senders;
  unsigned long long* wrong;
  __device__ void operator()(Index i) const {
    float sum = 0;
    for (int sender = 0; sender < num_senders; ++sender) sum += number(sender, i);
    if (static_cast<float>(sums[i]) != sum) atomicAdd(wrong, 1ULL);
  }
};

unsigned long long* counter(std::uint64_t* wrong) {
  return reinterpret_cast<unsigned long long*>(wrong);  // what atomicAdd takes
}

}  // namespace

void fill_words(std::uint16_t* words, Index count, int sender, Index first, cudaStream_t stream) {
  launch(count, stream, FillWords{words, sender, first});
}

void count_wrong_words(const std::uint16_t* words, Index count, int sender, Index first,
                       std::uint64_t* wrong, cudaStream_t stream) {
  launch(count, stream, CountWords{words, sender, first, counter(wrong)});
}

void fill_numbers(Bfloat16* numbers, Index count, int sender, cudaStream_t stream) {
  launch(count, stream, FillNumbers{numbers, sender});
}

void count_wrong_sums(const Bfloat16* sums, Index count, int num_senders, std::uint64_t* wrong,
                      cudaStream_t stream) {
  launch(count, stream, CountSums{sums, num_senders, counter(wrong)});
}

}  // namespace apb::cuda
