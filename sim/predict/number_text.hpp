#pragma once
/// \file
/// Quantities as people read them, and tables of them.

#include <string>
#include <vector>

#include "sim/predict/band.hpp"
#include "sim/units.hpp"

namespace apb::sim {

/// "12.3 s", "4.56 ms", "789 us": three digits.
[[nodiscard]] std::string text_of(Seconds time);
/// "17.2 GB", powers of 1000.
[[nodiscard]] std::string text_of(Bytes bytes);
/// "0.71 … 0.82 s"
[[nodiscard]] std::string text_of(const Band& band);
/// "1.84x", three digits
[[nodiscard]] std::string times_text(double ratio);
/// "12.3 %"
[[nodiscard]] std::string percent_text(double part);
/// "+3.1 %"
[[nodiscard]] std::string error_text(double part);

/// Rows of cells: the first column to the left, the others to the right. As text, or as CSV.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string csv() const;
};

}  // namespace apb::sim
