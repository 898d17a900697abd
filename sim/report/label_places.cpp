#include "sim/report/label_places.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace apb::sim::report {
namespace {

bool nearer_than(Point a, Point b, double dx, double dy) {
  return std::abs(a.x - b.x) < dx && std::abs(a.y - b.y) < dy;
}

}  // namespace

std::vector<double> spread_labels(std::vector<double> wanted, double top, double bottom) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  double free_from = top;
  for (const std::size_t i : order) {
    wanted[i] = std::max(wanted[i], free_from);
    free_from = wanted[i] + kLabelLineHeight;
  }
  double free_to = bottom;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    wanted[*i] = std::min(wanted[*i], free_to);
    free_to = wanted[*i] - kLabelLineHeight;
  }
  return wanted;
}

NumberPlaces::NumberPlaces(std::vector<Point> points, Point low, Point high)
    : points_(std::move(points)), low_(low), high_(high) {}

std::optional<Point> NumberPlaces::next_to(Point point) {
  constexpr std::array<Point, 8> kDirections{
      {{1, -1}, {1, 1}, {-1, -1}, {-1, 1}, {1.3, 0}, {-1.3, 0}, {0, -1.3}, {0, 1.3}}};
  // Farther away, one would not know which point is meant.
  for (const double distance : {12.0, 16.0}) {
    for (const Point& direction : kDirections) {
      const Point place{point.x + distance * direction.x, point.y + distance * direction.y};
      if (!free(place)) continue;
      numbers_.push_back(place);
      return place;
    }
  }
  return std::nullopt;
}

bool NumberPlaces::free(Point place) const {
  // Two digits of 13 pixels are 17 wide and 10 high; a marker is 9.
  return place.x > low_.x + 10 && place.x < high_.x - 10 && place.y > low_.y + 8 &&
         place.y < high_.y - 8 &&
         std::none_of(points_.begin(), points_.end(),
                      [&](Point other) { return nearer_than(place, other, 14, 11); }) &&
         std::none_of(numbers_.begin(), numbers_.end(),
                      [&](Point other) { return nearer_than(place, other, 20, 17); });
}

}  // namespace apb::sim::report
