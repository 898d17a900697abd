#include "reference/verify/mistakes/setup_changes.hpp"

#include <algorithm>
#include <utility>

namespace apb {
namespace {

/// Copies one row or head of `from` into `to`.
void put(const AttentionRows& from, Index row, Index head, AttentionRows& to) {
  for (Index i = 0; i < from.lse.rows(); ++i) {
    for (Index h = 0; h < from.lse.cols(); ++h) {
      std::copy_n(from.out.view().at(i, h), from.out.head_dim(),
                  to.out.view().at(row + i, head + h));
      to.lse(row + i, head + h) = from.lse(i, h);
    }
  }
}

AttentionRows make_room(std::span<const Index> rows, std::span<const Index> heads, Index head_dim) {
  AttentionRows room{{rows.begin(), rows.end()}, {heads.begin(), heads.end()}, {}, {}};
  room.out = HeadsTensor<double>(std::ssize(rows), std::ssize(heads), head_dim);
  room.lse.resize(std::ssize(rows), std::ssize(heads));
  return room;
}

}  // namespace

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

Index count_keys(const AttentionSetup& setup) {
  Index keys = 0;
  for (const KeyStretch& stretch : setup.keys) keys += stretch.key.rows;
  return keys;
}

AttentionSetup without_keys(AttentionSetup setup, Index begin, Index end) {
  Index first = 0;  // of a stretch
  for (std::size_t s = 0; s < setup.keys.size(); ++s) {
    const Index keys = setup.keys[s].key.rows;
    const Index from = std::clamp(begin - first, Index{0}, keys);
    const Index to = std::clamp(end - first, Index{0}, keys);
    first += keys;
    if (from == to) continue;
    split_stretch(setup, s, to);
    split_stretch(setup, s, from);
    setup.keys[s + 1].visible = [](Index) { return Index{0}; };
    s += 2;
  }
  return setup;
}

Index seen_keys(const KeyStretch& stretch, Index row) {
  return std::clamp(stretch.visible(row), Index{0}, stretch.key.rows);
}

Attention row_by_row(std::function<AttentionSetup(Index row)> setup_of) {
  return [of = std::move(setup_of)](std::span<const Index> rows, std::span<const Index> heads) {
    AttentionRows all;
    for (Index i = 0; i < std::ssize(rows); ++i) {
      const AttentionRows one = true_attention(of(rows[static_cast<std::size_t>(i)]),
                                               rows.subspan(static_cast<std::size_t>(i), 1), heads);
      if (i == 0) all = make_room(rows, heads, one.out.head_dim());
      put(one, i, 0, all);
    }
    return all;
  };
}

Attention head_by_head(std::function<AttentionSetup(Index head)> setup_of) {
  return [of = std::move(setup_of)](std::span<const Index> rows, std::span<const Index> heads) {
    AttentionRows all;
    for (Index h = 0; h < std::ssize(heads); ++h) {
      const AttentionRows one = true_attention(of(heads[static_cast<std::size_t>(h)]), rows,
                                               heads.subspan(static_cast<std::size_t>(h), 1));
      if (h == 0) all = make_room(rows, heads, one.out.head_dim());
      put(one, 0, h, all);
    }
    return all;
  };
}

HeadsView<const double> one_head(const HeadsView<const double>& view, Index head) {
  return {view.data + head * view.head_dim, view.rows, 1, view.head_dim, view.row_stride};
}

Eigen::VectorXd key_weights(const AttentionSetup& setup, const KeyStretch& stretch, Index row,
                            Index head, Index seen, double lse) {
  const auto query = head_matrix(setup.query, head).row(row);
  const auto key = head_matrix(stretch.key, setup.kv_head(head)).topRows(seen);
  return ((setup.softmax_scale * (key * query.transpose())).array() - lse).exp();
}

}  // namespace apb
