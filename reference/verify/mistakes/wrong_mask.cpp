#include "reference/verify/mistakes/wrong_mask.hpp"

#include <fmt/format.h>

#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {

std::vector<Variant> anchor_sees_passing(const Evidence& evidence) {
  const Index passing = passing_rows(evidence);
  const Index anchor = evidence.wrong.setup.anchor_rows;
  if (passing == 0 || anchor == 0) return {};
  std::vector<Variant> variants;
  AttentionSetup all = evidence.wrong.setup;
  all.keys[kPassingKeys].visible = [](Index) { return kWhole; };
  variants.push_back({"", std::move(all)});
  for (const Index tile : kTiles) {
    const Index whole_tiles = passing / tile * tile;
    if (whole_tiles == 0 || whole_tiles == passing) continue;
    AttentionSetup setup = evidence.wrong.setup;
    split_stretch(setup, kPassingKeys, whole_tiles);
    setup.keys[kPassingKeys + 1].visible = [](Index) { return kWhole; };
    variants.push_back({fmt::format(": its last {} keys, beyond "
                                    "whole tiles of {}",
                                    passing - whole_tiles, tile),
                        std::move(setup)});
  }
  return variants;
}

std::vector<Variant> border_tile(const Evidence& evidence) {
  const Index anchor = evidence.wrong.setup.anchor_rows;
  if (passing_rows(evidence) == 0 || anchor == 0) return {};
  std::vector<Variant> variants;
  for (const Index tile : kTiles) {
    const Index first = anchor / tile * tile;
    const Index last = first + tile;  // exclusive
    if (first == anchor) continue;
    AttentionSetup blind = evidence.wrong.setup;
    blind.keys[kPassingKeys].visible = [last](Index row) { return row < last ? 0 : kWhole; };
    variants.push_back({fmt::format(": block rows in the tile of {} rows that also holds "
                                    "anchor rows miss the passing block",
                                    tile),
                        std::move(blind)});
    AttentionSetup seeing = evidence.wrong.setup;
    seeing.keys[kPassingKeys].visible = [first](Index row) { return row < first ? 0 : kWhole; };
    variants.push_back({fmt::format(": anchor rows in the tile of {} rows that also "
                                    "holds block rows see the passing block",
                                    tile),
                        std::move(seeing)});
  }
  return variants;
}

std::vector<Variant> causal_top_left(const Evidence& evidence) {
  if (!is_prefill(evidence)) return {};
  std::vector<Variant> variants;
  constexpr std::array<std::pair<std::array<std::size_t, 3>, const char*>, 2> kOrders{
      {{{kAnchorKeys, kPassingKeys, kBlockKeys}, "[anchor, passing, block]"},
       {{kPassingKeys, kAnchorKeys, kBlockKeys}, "[passing, anchor, block]"}}};
  for (const auto& [order, name] : kOrders) {
    AttentionSetup setup = evidence.wrong.setup;
    Index before = 0;
    for (const std::size_t stretch : order) {
      setup.keys[stretch].visible = [before](Index row) { return row + 1 - before; };
      before += setup.keys[stretch].key.rows;
    }
    variants.push_back({fmt::format(": row i sees keys 0…i of {}", name), std::move(setup)});
  }
  return variants;
}

std::vector<Variant> causal_off_by_one(const Evidence& evidence) {
  if (!is_prefill(evidence)) return {};
  const Index anchor = evidence.wrong.setup.anchor_rows;
  std::vector<Variant> variants;
  for (const Index step : {1, -1}) {
    for (const auto& [in_anchor, in_block, where] :
         {std::tuple{true, true, "row"}, {false, true, "block row"}, {true, false, "anchor row"}}) {
      if (anchor == 0 && in_anchor) continue;
      AttentionSetup setup = evidence.wrong.setup;
      if (in_anchor) {
        setup.keys[kAnchorKeys].visible = [anchor, step](Index row) {
          return row < anchor ? row + 1 + step : kWhole;
        };
      }
      if (in_block) {
        setup.keys[kBlockKeys].visible = [anchor, step](Index row) {
          return row < anchor ? 0 : row - anchor + 1 + step;
        };
      }
      variants.push_back({fmt::format(": {} i sees own keys 0…i{}1", where, step > 0 ? '+' : '-'),
                          std::move(setup)});
    }
  }
  return variants;
}

std::vector<Variant> causal_missing(const Evidence& evidence) {
  if (!is_prefill(evidence)) return {};
  const Index anchor = evidence.wrong.setup.anchor_rows;
  AttentionSetup own = evidence.wrong.setup;
  own.keys[kAnchorKeys].visible = [](Index) { return kWhole; };
  own.keys[kBlockKeys].visible = [anchor](Index row) { return row < anchor ? 0 : kWhole; };
  AttentionSetup all = evidence.wrong.setup;
  for (KeyStretch& stretch : all.keys) stretch.visible = [](Index) { return kWhole; };
  return {{" inside anchor and block", std::move(own)},
          {": every row sees every key", std::move(all)}};
}

}  // namespace apb
