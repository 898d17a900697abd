// The page is well-formed XML, too: what is made by formatting text is easier to trust when a
// parser can check it.
#include "sim/report/html_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/report/bar_figure.hpp"
#include "sim/report/html_text.hpp"
#include "sim/report/line_figure.hpp"
#include "sim/report/page_style.hpp"
#include "sim/report/scatter_figure.hpp"
#include "sim/report/timeline_figure.hpp"
#include "sim/report/tornado_figure.hpp"

namespace apb::sim::report {
namespace {

/// Sections of the page, and links to them.
class Sections {
 public:
  void add(std::string_view id, std::string_view heading, std::string_view body) {
    links_ += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", id, escaped(heading));
    sections_ +=
        fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", id, escaped(heading), body);
    ++count_;
  }

  /// Links help from two sections on.
  [[nodiscard]] std::string html() const {
    const std::string nav =
        fmt::format("<nav aria-label=\"Sections\"><ul>\n{}</ul></nav>\n", links_);
    return (count_ > 1 ? nav : "") + sections_;
  }

 private:
  std::string links_;
  std::string sections_;
  int count_ = 0;
};

std::string optional_element(std::string_view before, std::string_view text,
                             std::string_view after) {
  if (text.empty()) return "";
  std::string safe = escaped(text);
  // A per cent sign does not begin a line.
  for (std::size_t at = 0; (at = safe.find(" %", at)) != std::string::npos;) {
    safe.replace(at, 1, "\u00a0");
  }
  return fmt::format("{}{}{}\n", before, safe, after);
}

std::string figure_html(const Figure& figure) {
  std::string html = "<figure>\n";
  if (!figure.legend.empty()) {
    html += fmt::format("<ul class=\"legend{}\">\n{}</ul>\n", figure.narrow_legend ? " narrow" : "",
                        figure.legend);
  }
  html += fmt::format(
      "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">\n{}</div>\n"
      "<p class=\"hint\">The figure is wider than this window: move it sideways.</p>\n"
      "<figcaption>{}</figcaption>\n{}</figure>\n"
      "<details><summary>The numbers behind it</summary>\n{}</details>\n",
      escaped(figure.heading), figure.svg, escaped(figure.caption), figure.key,
      html_table(figure.table));
  return html;
}

std::string tables_html(const std::vector<ReportTable>& tables) {
  std::string html;
  for (const ReportTable& table : tables) {
    if (!table.rows.empty()) html += html_table(table);
  }
  return html;
}

}  // namespace

std::string html_report(const ReportData& data) {
  Sections sections;
  const std::array<Figure, 5> figures{
      bar_figure(data.parts), line_figure(data.speedup, data.baseline),
      timeline_figure(data.timeline, data.num_ranks, data.timeline_of), scatter_figure(data.pareto),
      tornado_figure(data.tornado, data.tornado_of)};
  for (const Figure& figure : figures) {
    if (!figure.svg.empty()) sections.add(figure.id, figure.heading, figure_html(figure));
  }
  const std::string tables = tables_html(data.tables);
  if (!tables.empty()) sections.add("tables", "Tables", tables);
  std::string notes;
  for (const std::string& note : data.notes) notes += optional_element("<p>", note, "</p>");
  if (!notes.empty()) sections.add("notes", "Where the numbers come from", notes);

  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}<main>\n<h1>{}</h1>\n"
      "{}{}{}{}</main>\n</body>\n</html>\n",
      escaped(data.title), page_style(), page_patterns(), escaped(data.title),
      optional_element("<p class=\"subtitle\">", data.subtitle, "</p>"),
      optional_element("<p class=\"answer\">", data.answer, "</p>"),
      optional_element("<pre><code>", data.command, "</code></pre>"), sections.html());
}

}  // namespace apb::sim::report
