/// Writes a sample report, for html_report_page_test.py: html_report_page sample|crowded > FILE

#include <cstdio>
#include <string_view>

#include "sim/report/html_report.hpp"
#include "tests/sim/sample_report.hpp"

int main(int argc, char** argv) {
  using namespace apb::sim::report;
  const bool crowded = argc > 1 && std::string_view(argv[1]) == "crowded";
  const std::string page = html_report(crowded ? crowded_report() : sample_report());
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() ? 0 : 1;
}
