#pragma once
/// \file
/// The mistakes that attention kernels are known to make, as other attention of the same inputs.
/// One row a mistake; the code of each stands in mistakes/, and docs/adding.md says how one is
/// added.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/verify/evidence.hpp"

namespace apb {

/// What a kernel gives for some rows and heads.
using Attention =
    std::function<AttentionRows(std::span<const Index> rows, std::span<const Index> heads)>;

/// One way to make a mistake.
struct Variant {
  std::string detail;   ///< in words; the mistake's name stands before it
  Attention attention;  ///< with the mistake, in double

  Variant(std::string words, Attention wrong)
      : detail(std::move(words)), attention(std::move(wrong)) {}
  /// Most mistakes are another setup.
  Variant(std::string words, AttentionSetup setup)
      : detail(std::move(words)), attention([wrong = std::move(setup)](auto rows, auto heads) {
          return true_attention(wrong, rows, heads);
        }) {}
};

struct Mistake {
  std::string_view name;
  std::vector<Variant> (*variants)(const Evidence&);  ///< none where it cannot be made
  bool is_rows = false;  ///< it is told by the rows in which it is made: never in others alone
};

/// All of them.
[[nodiscard]] std::span<const Mistake> known_mistakes();

}  // namespace apb
