#include "reference/cli/svg_writer.hpp"

#include <fmt/format.h>

namespace apb {

void SvgWriter::text(double x, double y, std::string_view style, std::string_view text) {
  body_ += fmt::format("<text x='{:.1f}' y='{:.1f}' {}>{}</text>\n", x, y, style, text);
}

void SvgWriter::turned_text(double x, double y, std::string_view style, std::string_view text) {
  body_ += fmt::format(
      "<text transform='translate({:.1f} {:.1f}) rotate(-90)' text-anchor='middle' {}>{}</text>\n",
      x, y, style, text);
}

void SvgWriter::rect(double x, double y, double width, double height, double corner_radius,
                     std::string_view colour) {
  body_ += fmt::format(
      "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' rx='{:.0f}' fill='{}'/>\n", x, y,
      width, height, corner_radius, colour);
}

void SvgWriter::lower_triangle(double x, double y, double width, double height,
                               std::string_view colour) {
  body_ += fmt::format(
      "<polygon points='{0:.1f},{1:.1f} {0:.1f},{2:.1f} {3:.1f},{2:.1f}' fill='{4}'/>\n", x, y,
      y + height, x + width, colour);
}

std::string SvgWriter::framed(double width, double height, std::string_view title) const {
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' "
      "viewBox='0 0 {0:.0f} {1:.0f}' role='img' font-family='Helvetica, Arial, sans-serif' "
      "font-size='13' fill='#24292f'>\n"
      "<title>{2}</title>\n"
      "<style>.title {{ font-size: 20px; font-weight: bold }} .heading {{ font-size: 14px; "
      "font-weight: bold }} .small {{ fill: #57606a }}</style>\n"
      "<rect x='0.5' y='0.5' width='{3:.0f}' height='{4:.0f}' rx='10' fill='#ffffff' "
      "stroke='#d0d7de'/>\n"
      "{5}</svg>\n",
      width, height, title, width - 1, height - 1, body_);
}

}  // namespace apb
