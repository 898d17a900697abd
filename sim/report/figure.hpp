#pragma once
/// \file
/// A figure with the words around it.

#include <string>

#include "sim/report/report_data.hpp"

namespace apb::sim::report {

/// Nothing to draw: svg is empty, and the section is left out.
struct Figure {
  std::string id;       ///< of its section, for links
  std::string heading;  ///< plain text
  std::string svg;
  std::string legend;          ///< HTML list items, or nothing
  bool narrow_legend = false;  ///< names beside the shapes suffice where the window is wide enough
  std::string key;             ///< HTML below the picture, or nothing
  std::string caption;         ///< plain text: what to look at
  ReportTable table;           ///< the numbers behind it
};

}  // namespace apb::sim::report
