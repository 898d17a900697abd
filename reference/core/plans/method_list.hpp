#pragma once
/// \file
/// The list of prefill methods: for each its names, what it can do, and its plan (the configuration
/// it really runs, who holds what, the work it takes). One row a method; everything that goes over
/// methods goes over this list. docs/adding.md says how a method is added.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/block_layout.hpp"
#include "reference/core/plans/all_gather.hpp"
#include "reference/core/plans/apb.hpp"
#include "reference/core/plans/ape.hpp"
#include "reference/core/plans/full.hpp"
#include "reference/core/plans/layer_work.hpp"
#include "reference/core/plans/ring.hpp"
#include "reference/core/plans/spava.hpp"
#include "reference/core/plans/star.hpp"
#include "reference/core/plans/ulysses.hpp"
#include "reference/core/plans/zigzag_ring.hpp"

namespace apb {

/// In the order of kMethodList.
enum class Method { kFull, kRing, kZigzagRing, kAllGather, kUlysses, kStar, kApe, kApb, kSpava };

/// One method.
struct MethodEntry {
  Method method;
  std::string_view name;     ///< on command lines and in files
  std::string_view title;    ///< in headings
  std::string_view summary;  ///< in a table: what it does, beside the row above

  bool exact;       ///< gives the same attention as one rank that sees everything
  bool selects;     ///< keeps entries of each block by a compressor, and passes them on
  bool cuts_alone;  ///< cuts the document itself: block lengths cannot be given
  /// Ranks hold [anchor, passing, block] and nothing else: what a case file describes.
  bool block_form;

  /// The configuration it really runs: what it does not use is switched off. \throws BadInput
  ApbConfig (*config)(const ApbConfig& given);
  /// Who holds what. \param config made by `config`
  BlockLayout (*layout)(const ApbConfig& config);
  /// Counters of one layer on each rank, in closed form (layer_work.hpp). \param config made by
  /// `config`
  std::vector<Counters> (*work)(const ApbConfig& config, Index element_bytes,
                                const LayerSizes& sizes);
};

// clang-format off
inline constexpr std::array kMethodList{
    MethodEntry{.method = Method::kFull, .name = "full", .title = "Full",
                .summary = "one rank does all; exact",
                .exact = true, .selects = false, .cuts_alone = false, .block_form = true,
                .config = full_config, .layout = make_block_layout, .work = layer_work},
    MethodEntry{.method = Method::kRing, .name = "ring", .title = "Ring",
                .summary = "all keys and values go round; exact",
                .exact = true, .selects = false, .cuts_alone = false, .block_form = false,
                .config = exact_config, .layout = make_block_layout, .work = ring_work},
    MethodEntry{.method = Method::kZigzagRing, .name = "zigzag_ring", .title = "Zigzag Ring",
                .summary = "the same, work in equal parts; exact",
                .exact = true, .selects = false, .cuts_alone = true, .block_form = false,
                .config = zigzag_config, .layout = zigzag_layout, .work = zigzag_ring_work},
    MethodEntry{.method = Method::kAllGather, .name = "all_gather", .title = "All-gather",
                .summary = "all keys and values to everybody; exact",
                .exact = true, .selects = false, .cuts_alone = true, .block_form = false,
                .config = zigzag_config, .layout = zigzag_layout, .work = all_gather_work},
    MethodEntry{.method = Method::kUlysses, .name = "ulysses", .title = "Ulysses",
                .summary = "swaps rows for heads and back; exact",
                .exact = true, .selects = false, .cuts_alone = false, .block_form = false,
                .config = exact_config, .layout = make_block_layout, .work = ulysses_work},
    MethodEntry{.method = Method::kStar, .name = "star", .title = "Star",
                .summary = "sends nothing; sees anchor and own block",
                .exact = false, .selects = false, .cuts_alone = false, .block_form = true,
                .config = star_config, .layout = make_block_layout, .work = layer_work},
    MethodEntry{.method = Method::kApe, .name = "ape", .title = "APE",
                .summary = "the same, positions reused, no query",
                .exact = false, .selects = false, .cuts_alone = false, .block_form = false,
                .config = ape_config, .layout = ape_layout, .work = layer_work},
    MethodEntry{.method = Method::kApb, .name = "apb", .title = "APB",
                .summary = "sends what is kept, sees what was sent",
                .exact = false, .selects = true, .cuts_alone = false, .block_form = true,
                .config = apb_config, .layout = make_block_layout, .work = layer_work},
    MethodEntry{.method = Method::kSpava, .name = "spava", .title = "Spava",
                .summary = "the same, two chunks a rank, query fused",
                .exact = false, .selects = true, .cuts_alone = true, .block_form = false,
                .config = spava_config, .layout = spava_layout, .work = spava_work},
};
// clang-format on

/// A method's row.
[[nodiscard]] constexpr const MethodEntry& entry_of(Method method) {
  return kMethodList.at(static_cast<std::size_t>(method));
}

/// Methods in the list's order; every row stands where its number says.
[[nodiscard]] consteval bool in_order() {
  for (std::size_t i = 0; i < kMethodList.size(); ++i) {
    if (kMethodList.at(i).method != static_cast<Method>(i)) return false;
  }
  return true;
}
static_assert(in_order(), "kMethodList and Method have different orders");

[[nodiscard]] constexpr std::string_view to_string(Method method) {
  return entry_of(method).name;
}

/// Names of all methods, or of those of block_form: "full, star, apb".
[[nodiscard]] std::string method_names();
[[nodiscard]] std::string block_method_names();

/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] Method parse_method(std::string_view name);

/// As parse_method, among those of block_form.
[[nodiscard]] Method parse_block_method(std::string_view name);

/// The configuration that a method really runs: what it does not use is switched off. Full puts the
/// whole document on rank 0; Star keeps and passes nothing; and so on.
/// \throws BadInput for what the method cannot do
[[nodiscard]] ApbConfig method_config(Method method, const ApbConfig& config);

/// Who holds what.
/// \param config made by method_config
[[nodiscard]] BlockLayout method_layout(Method method, const ApbConfig& config);

/// Counters of one layer on each rank, in closed form (layer_work.hpp).
/// \param config made by method_config
[[nodiscard]] std::vector<Counters> method_work(Method method, const ApbConfig& config,
                                                Index element_bytes, const LayerSizes& sizes = {});

}  // namespace apb
