#include "reference/verify/mistakes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>

#include "reference/verify/passing_order.hpp"

namespace apb {
namespace {

constexpr Index kWhole = std::numeric_limits<Index>::max();
constexpr std::array<Index, 4> kTiles{16, 32, 64, 128};

/// Whether the suspect is a prefill with the three stretches.
bool is_prefill(const Evidence& evidence) {
  return evidence.suspect.rank != nullptr;
}

Index passing_rows(const Evidence& evidence) {
  return is_prefill(evidence) ? evidence.suspect.rank->layout.passing_rows : 0;
}

/// Cuts a stretch in two at key `at`; both parts are seen as the whole was.
void split_stretch(Reading& reading, std::size_t stretch, Index at) {
  KeyStretch tail = reading.keys[stretch];
  KeyStretch& head = reading.keys[stretch];
  const Index keys = tail.key.rows;
  head.key = head.key.slice(0, at);
  head.value = head.value.slice(0, at);
  tail.key = tail.key.slice(at, keys - at);
  tail.value = tail.value.slice(at, keys - at);
  tail.visible = [seen = tail.visible, at](Index row) {
    const Index all = seen(row);
    return all == kWhole ? kWhole : all - at;
  };
  reading.keys.insert(reading.keys.begin() + static_cast<std::ptrdiff_t>(stretch) + 1,
                      std::move(tail));
}

std::vector<Variant> anchor_sees_passing(const Evidence& evidence) {
  const Index passing = passing_rows(evidence);
  const Index anchor = evidence.suspect.reading.anchor_rows;
  if (passing == 0 || anchor == 0) return {};
  std::vector<Variant> variants;
  Reading all = evidence.suspect.reading;
  all.keys[kPassingKeys].visible = [](Index) { return kWhole; };
  variants.push_back({"anchor rows see the passing block", std::move(all)});
  for (const Index tile : kTiles) {
    const Index whole_tiles = passing / tile * tile;
    if (whole_tiles == 0 || whole_tiles == passing) continue;
    Reading reading = evidence.suspect.reading;
    split_stretch(reading, kPassingKeys, whole_tiles);
    reading.keys[kPassingKeys + 1].visible = [](Index) { return kWhole; };
    variants.push_back({fmt::format("anchor rows see the passing block: its last {} keys, beyond "
                                    "whole tiles of {}",
                                    passing - whole_tiles, tile),
                        std::move(reading)});
  }
  return variants;
}

/// "the last 5 keys of the passing block (beyond whole tiles of 16)"
std::string tail_in_words(Index count, Index keys, std::string_view segment) {
  if (count == keys) return fmt::format("all {} keys of the {}", keys, segment);
  std::string text = fmt::format("the last {} of {} keys of the {}", count, keys, segment);
  for (const Index tile : kTiles) {
    if (count == keys % tile) return text + fmt::format(" (beyond whole tiles of {})", tile);
  }
  return text;
}

std::vector<Variant> tail_variant(const Evidence& evidence, std::size_t stretch,
                                  std::string_view segment, bool values_only) {
  if (!is_prefill(evidence)) return {};
  const Index keys = evidence.suspect.reading.keys[stretch].key.rows;
  const Index count = best_missing_tail(evidence, stretch, values_only);
  if (count == 0) return {};
  Reading reading = evidence.suspect.reading;
  split_stretch(reading, stretch, keys - count);
  KeyStretch& tail = reading.keys[stretch + 1];
  const std::string words = tail_in_words(count, keys, segment);
  if (values_only) {
    tail.value = {};
    return {{fmt::format("values of the {} read as 0: {}", segment, words), std::move(reading)}};
  }
  tail.visible = [seen = tail.visible, anchor = reading.anchor_rows](Index row) {
    return row < anchor ? seen(row) : 0;
  };
  return {{fmt::format("block rows miss keys of the {}: {}", segment, words), std::move(reading)}};
}

std::vector<Variant> passing_tail_missing(const Evidence& evidence) {
  return tail_variant(evidence, kPassingKeys, "passing block", false);
}
std::vector<Variant> passing_values_zero(const Evidence& evidence) {
  return tail_variant(evidence, kPassingKeys, "passing block", true);
}
std::vector<Variant> anchor_tail_missing(const Evidence& evidence) {
  return tail_variant(evidence, kAnchorKeys, "anchor", false);
}

/// A tile of query rows that holds the last anchor and the first block rows is treated as all one
/// or all the other.
std::vector<Variant> border_tile(const Evidence& evidence) {
  const Index anchor = evidence.suspect.reading.anchor_rows;
  if (passing_rows(evidence) == 0 || anchor == 0) return {};
  std::vector<Variant> variants;
  for (const Index tile : kTiles) {
    const Index first = anchor / tile * tile;
    const Index last = first + tile;  // exclusive
    if (first == anchor) continue;
    Reading blind = evidence.suspect.reading;
    blind.keys[kPassingKeys].visible = [last](Index row) { return row < last ? 0 : kWhole; };
    variants.push_back(
        {fmt::format("tile border: block rows in the tile of {} rows that also holds "
                     "anchor rows miss the passing block",
                     tile),
         std::move(blind)});
    Reading seeing = evidence.suspect.reading;
    seeing.keys[kPassingKeys].visible = [first](Index row) { return row < first ? 0 : kWhole; };
    variants.push_back({fmt::format("tile border: anchor rows in the tile of {} rows that also "
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
    Reading reading = evidence.suspect.reading;
    Index before = 0;
    for (const std::size_t stretch : order) {
      reading.keys[stretch].visible = [before](Index row) { return row + 1 - before; };
      before += reading.keys[stretch].key.rows;
    }
    variants.push_back(
        {fmt::format("causal mask aligned top-left: row i sees keys 0…i of {}", name),
         std::move(reading)});
  }
  return variants;
}

std::vector<Variant> causal_off_by_one(const Evidence& evidence) {
  if (!is_prefill(evidence)) return {};
  const Index anchor = evidence.suspect.reading.anchor_rows;
  std::vector<Variant> variants;
  for (const Index step : {1, -1}) {
    for (const auto& [in_anchor, in_block, where] :
         {std::tuple{true, true, "row"}, {false, true, "block row"}, {true, false, "anchor row"}}) {
      if (anchor == 0 && in_anchor) continue;
      Reading reading = evidence.suspect.reading;
      if (in_anchor) {
        reading.keys[kAnchorKeys].visible = [anchor, step](Index row) {
          return row < anchor ? row + 1 + step : kWhole;
        };
      }
      if (in_block) {
        reading.keys[kBlockKeys].visible = [anchor, step](Index row) {
          return row < anchor ? 0 : row - anchor + 1 + step;
        };
      }
      variants.push_back({fmt::format("causal mask off by one: {} i sees own keys 0…i{}1", where,
                                      step > 0 ? '+' : '-'),
                          std::move(reading)});
    }
  }
  return variants;
}

std::vector<Variant> causal_missing(const Evidence& evidence) {
  if (!is_prefill(evidence)) return {};
  const Index anchor = evidence.suspect.reading.anchor_rows;
  Reading own = evidence.suspect.reading;
  own.keys[kAnchorKeys].visible = [](Index) { return kWhole; };
  own.keys[kBlockKeys].visible = [anchor](Index row) { return row < anchor ? 0 : kWhole; };
  Reading all = evidence.suspect.reading;
  for (KeyStretch& stretch : all.keys) stretch.visible = [](Index) { return kWhole; };
  return {{"causal mask missing inside anchor and block", std::move(own)},
          {"causal mask missing: every row sees every key", std::move(all)}};
}

std::vector<Variant> wrong_head_map(const Evidence& evidence) {
  const Reading& right = evidence.suspect.reading;
  const Index kv_heads = right.keys.empty() ? 1 : right.keys.front().key.heads;
  Reading modulo = right;
  modulo.kv_head = [kv_heads](Index head) { return head % kv_heads; };
  Reading divided = right;
  divided.kv_head = [kv_heads](Index head) { return std::min(head / kv_heads, kv_heads - 1); };
  return {{"GQA map wrong: query head h reads KV head h % num_kv_heads", std::move(modulo)},
          {"GQA map wrong: query head h reads KV head h / num_kv_heads", std::move(divided)}};
}

std::vector<Variant> lse_base_2(const Evidence& evidence) {
  Reading reading = evidence.suspect.reading;
  reading.lse_factor = std::numbers::log2e;
  return {{"lse in base 2 instead of natural", std::move(reading)}};
}

std::vector<Variant> wrong_scale(const Evidence& evidence) {
  const double scale = evidence.suspect.reading.softmax_scale;
  const auto scaled = [&](double factor) {
    Reading reading = evidence.suspect.reading;
    reading.softmax_scale = factor;
    return reading;
  };
  return {{"softmax scale missing", scaled(1)},
          {"softmax scale squared", scaled(scale * scale)},
          {"softmax scale times ln 2: exp2 without log2(e)", scaled(scale * std::numbers::ln2)},
          {"softmax scale times log2(e) twice", scaled(scale * std::numbers::log2e)}};
}

constexpr std::array kMistakes{
    Mistake{"anchor rows see the passing block", anchor_sees_passing},
    Mistake{"block rows miss keys of the passing block", passing_tail_missing},
    Mistake{"values of the passing block read as 0", passing_values_zero},
    Mistake{"block rows miss keys of the anchor", anchor_tail_missing},
    Mistake{"causal mask aligned top-left", causal_top_left},
    Mistake{"causal mask off by one", causal_off_by_one},
    Mistake{"causal mask missing", causal_missing},
    Mistake{"GQA map wrong", wrong_head_map},
    Mistake{"lse in base 2", lse_base_2},
    Mistake{"softmax scale", wrong_scale},
    Mistake{"passing blocks of the ranks in the wrong order", wrong_passing_order},
    Mistake{"tile border", border_tile},
};

}  // namespace

std::span<const Mistake> known_mistakes() {
  return kMistakes;
}

}  // namespace apb
