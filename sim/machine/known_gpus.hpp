#pragma once
/// \file
/// Datasheet figures of known GPUs, to recognise the figures that are often taken for them: sparse
/// for dense, both ways for one, GB for GiB.

#include <array>
#include <string_view>

namespace apb::sim {

/// Sources: the makers' datasheets, as shared in docs/machines.md.
struct KnownGpu {
  std::string_view name;  ///< part of a profile's name or title; longer names first
  double dense_teraflop;  ///< bf16, TFLOP/s; the sparse figure is twice it
  double link_gigabytes;  ///< to the GPUs of its node, GB/s in one direction
  double memory_gib;      ///< device memory, GiB
};

inline constexpr std::array<KnownGpu, 9> kKnownGpus{{
    {"MI300X", 1307, 448, 192},
    {"GB200", 2500, 900, 192},
    {"B200", 2250, 900, 180},
    {"H200", 989.4, 450, 141},
    {"H100", 989.4, 450, 80},
    {"H800", 989.4, 200, 80},
    {"A800", 312, 200, 80},
    {"A100", 312, 300, 80},
    {"L40S", 362, 32, 48},
}};

}  // namespace apb::sim
