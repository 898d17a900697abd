#pragma once
/// \file
/// Messages whose every element says from whom it comes and where it stood, so that nothing that
/// arrives wrong passes unseen.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// Enqueues words = the stretch of `sender`'s words that begins at `first`.
void fill_words(std::uint16_t* words, Index count, int sender, Index first, cudaStream_t stream);

/// Enqueues *wrong += how many words are not those.
void count_wrong_words(const std::uint16_t* words, Index count, int sender, Index first,
                       std::uint64_t* wrong, cudaStream_t stream);

/// The same with small whole numbers, whose sums over some tens of ranks bf16 holds exactly.
void fill_numbers(Bfloat16* numbers, Index count, int sender, cudaStream_t stream);

/// Enqueues *wrong += how many numbers are not the sum of all senders'.
void count_wrong_sums(const Bfloat16* sums, Index count, int num_senders, std::uint64_t* wrong,
                      cudaStream_t stream);

}  // namespace apb::cuda
