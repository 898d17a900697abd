#include "sim/report/drawing.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>

#include "sim/report/html_text.hpp"

namespace apb::sim::report {
namespace {

constexpr double kMarkerRadius = 4.5;

std::string hover_text(std::string_view hover) {
  return hover.empty() ? "" : fmt::format("<title>{}</title>", escaped(hover));
}

/// Corners on a circle, the first one at `turn` (a share of a full turn, from the right downwards).
std::vector<Point> regular_polygon(Point centre, std::size_t corners, double turn, double radius) {
  std::vector<Point> points;
  for (std::size_t corner = 0; corner < corners; ++corner) {
    const double angle =
        2 * std::numbers::pi * (turn + static_cast<double>(corner) / static_cast<double>(corners));
    points.push_back({centre.x + radius * std::cos(angle), centre.y + radius * std::sin(angle)});
  }
  return points;
}

}  // namespace

void Drawing::rect(Point corner, double width, double height, std::string_view style,
                   std::string_view hover) {
  body_ += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" class=\"{}\">{}</rect>\n",
      corner.x, corner.y, width, height, style, hover_text(hover));
}

void Drawing::line(Point from, Point to, std::string_view style) {
  body_ +=
      fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n",
                  from.x, from.y, to.x, to.y, style);
}

void Drawing::shape(std::string_view name, const std::vector<Point>& points, std::string_view style,
                    std::string_view hover) {
  body_ += fmt::format("<{} points=\"", name);
  for (const Point& point : points) body_ += fmt::format("{:.1f},{:.1f} ", point.x, point.y);
  body_ += fmt::format("\" class=\"{}\">{}</{}>\n", style, hover_text(hover), name);
}

void Drawing::path(const std::vector<Point>& points, std::string_view style) {
  shape("polyline", points, style, {});
}

void Drawing::area(const std::vector<Point>& points, std::string_view style) {
  shape("polygon", points, style, {});
}

void Drawing::text(Point at, std::string_view style, std::string_view text) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", at.x, at.y,
                       style, escaped(text));
}

void Drawing::turned_text(Point at, std::string_view style, std::string_view text) {
  body_ += fmt::format(
      "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" class=\"middle {}\">{}</text>\n",
      at.x, at.y, style, escaped(text));
}

void Drawing::marker(Point at, std::size_t shape_number, std::string_view style,
                     std::string_view hover) {
  struct Form {
    std::size_t corners;
    double turn;
    double size;
  };
  // As large as each other to the eye. The circle is a polygon too: one way to draw is enough.
  constexpr std::array<Form, 6> kForms{
      {{16, 0, 1}, {4, 0.125, 1.2}, {3, -0.25, 1.3}, {4, 0, 1.25}, {3, 0.25, 1.3}, {6, 0, 1.1}}};
  const Form& form = kForms.at(shape_number % kForms.size());
  shape("polygon", regular_polygon(at, form.corners, form.turn, form.size * kMarkerRadius), style,
        hover);
}

std::string Drawing::framed(double height, std::string_view title,
                            std::string_view description) const {
  return fmt::format(
      "<svg class=\"figure\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n"
      "<title>{}</title>\n<desc>{}</desc>\n{}</svg>\n",
      kFigureWidth, height, escaped(title), escaped(title), escaped(description), body_);
}

std::string Drawing::legend_entry(std::string_view name) const {
  return fmt::format(
      "<li><svg class=\"swatch\" viewBox=\"0 0 {:.0f} {:.0f}\" "
      "aria-hidden=\"true\">{}</svg>{}</li>\n",
      kSwatchWidth, kSwatchHeight, body_, escaped(name));
}

std::string filled_legend_entry(std::string_view style, std::string_view name) {
  Drawing swatch;
  swatch.rect({0.5, 0.5}, kSwatchWidth - 1, kSwatchHeight - 1, fmt::format("piece {}", style));
  return swatch.legend_entry(name);
}

}  // namespace apb::sim::report
