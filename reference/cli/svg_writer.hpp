#pragma once
/// \file
/// The few SVG shapes that pictures here are made of. Lengths are in pixels.

#include <string>
#include <string_view>

namespace apb {

/// Collects shapes, then frames them as a file.
class SvgWriter {
 public:
  /// \param style further attributes, e.g. "class='small' text-anchor='end'"; text holds no <, > or
  /// &
  void text(double x, double y, std::string_view style, std::string_view text);
  /// Text that runs upwards, centred at (x, y).
  void turned_text(double x, double y, std::string_view style, std::string_view text);
  void rect(double x, double y, double width, double height, double corner_radius,
            std::string_view colour);
  /// The half of a rect below the diagonal from its top left to its bottom right.
  void lower_triangle(double x, double y, double width, double height, std::string_view colour);

  /// The whole file: a light card that holds all shapes. Classes for text: title, heading, small.
  /// \param title what the picture shows, for those who cannot see it
  [[nodiscard]] std::string framed(double width, double height, std::string_view title) const;

 private:
  std::string body_;
};

}  // namespace apb
