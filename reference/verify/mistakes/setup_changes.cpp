#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {

void split_stretch(AttentionSetup& setup, std::size_t stretch, Index at) {
  KeyStretch tail = setup.keys[stretch];
  KeyStretch& head = setup.keys[stretch];
  const Index keys = tail.key.rows;
  head.key = head.key.slice(0, at);
  head.value = head.value.slice(0, at);
  tail.key = tail.key.slice(at, keys - at);
  tail.value = tail.value.slice(at, keys - at);
  tail.visible = [seen = tail.visible, at](Index row) {
    const Index all = seen(row);
    return all == kWhole ? kWhole : all - at;
  };
  setup.keys.insert(setup.keys.begin() + static_cast<std::ptrdiff_t>(stretch) + 1, std::move(tail));
}

}  // namespace apb
