#pragma once
/// \file
/// What the simulator compares: the reference's methods and the two that need no ranks of their
/// own.

namespace apb::sim {

/// In the order of kSimMethods (method_table.hpp).
enum class SimMethod {
  kFull,
  kTensorParallel,
  kMInference,
  kRing,
  kZigzagRing,
  kAllGather,
  kUlysses,
  kStar,
  kApe,
  kApb,
  kSpava,
};

}  // namespace apb::sim
