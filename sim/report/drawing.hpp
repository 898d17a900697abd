#pragma once
/// \file
/// The shapes that the report's figures are made of. Lengths are in pixels of a figure that is
/// kFigureWidth wide; the page scales it. Colours are classes of the page's style sheet, so that
/// they change with light and dark.

#include <string>
#include <string_view>
#include <vector>

namespace apb::sim::report {

inline constexpr double kFigureWidth = 720;

/// Lines of the same colour beyond this are dashed.
inline constexpr std::size_t kNumColours = 7;

inline constexpr double kSwatchWidth = 18;
inline constexpr double kSwatchHeight = 12;

struct Point {
  double x = 0;
  double y = 0;
};

/// Collects shapes, then frames them. A style is one class or several; a hover text is what a
/// browser shows under the pointer. All text is escaped here.
class Drawing {
 public:
  void rect(Point corner, double width, double height, std::string_view style,
            std::string_view hover = {});
  void line(Point from, Point to, std::string_view style);
  void path(const std::vector<Point>& points, std::string_view style);
  void area(const std::vector<Point>& points, std::string_view style);
  /// Classes middle and end move the text's anchor.
  void text(Point at, std::string_view style, std::string_view text);
  /// Text that runs upwards, centred.
  void turned_text(Point at, std::string_view style, std::string_view text);
  /// Circle, square, triangle and so on, by number: colours alone do not tell lines apart.
  void marker(Point at, std::size_t shape, std::string_view style, std::string_view hover = {});

  /// The whole figure.
  /// \param title what it is
  /// \param description what it shows, for those who cannot see it
  [[nodiscard]] std::string framed(double height, std::string_view title,
                                   std::string_view description) const;

  /// The shapes as an entry of a legend (a list item), with its name; they fill
  /// kSwatchWidth x kSwatchHeight.
  [[nodiscard]] std::string legend_entry(std::string_view name) const;

 private:
  void shape(std::string_view name, const std::vector<Point>& points, std::string_view style,
             std::string_view hover);

  std::string body_;
};

/// An entry of a legend whose swatch is filled as `style` says.
[[nodiscard]] std::string filled_legend_entry(std::string_view style, std::string_view name);

}  // namespace apb::sim::report
