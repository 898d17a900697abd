#include "sim/report/html_report.hpp"

#include <cmath>
#include <limits>
#include <regex>

#include "sim/report/html_text.hpp"
#include "tests/sim/sample_report.hpp"
#include "tests/support/catch.hpp"

namespace apb::sim::report {
namespace {

std::size_t times_in(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

bool holds(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

/// The first thing wrong with a page's tags, or nothing. A '<' in text, a stray quote and a bare
/// '&' are wrong as well.
std::string fault_of(const std::string& page) {
  static const std::regex tag(
      R"re(<(/?)([a-zA-Z][a-zA-Z0-9]*)((?: [a-zA-Z0-9-]+="[^"<]*")*)(/?)>)re");
  static const std::regex bare(R"re(&(?!(amp|lt|gt|quot|#39);))re");
  const std::string doctype = "<!DOCTYPE html>\n";
  if (page.rfind(doctype, 0) != 0) return "no doctype";
  if (std::regex_search(page, bare)) return "a bare &";
  std::vector<std::string> open;
  std::size_t at = doctype.size();
  while ((at = page.find('<', at)) != std::string::npos) {
    std::smatch match;
    const auto begin = page.begin() + static_cast<std::ptrdiff_t>(at);
    if (!std::regex_search(begin, page.end(), match, tag, std::regex_constants::match_continuous)) {
      return "no tag: " + page.substr(at, 60);
    }
    at += static_cast<std::size_t>(match.length());
    const std::string name = match[2];
    if (match[4].length() > 0) continue;
    if (match[1].length() == 0) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "closes what is not open: " + match[0].str();
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

TEST_CASE("The check of well-formed pages finds what is wrong") {
  const std::string begin = "<!DOCTYPE html>\n";
  CHECK(fault_of(begin + "<p class=\"a\">x &lt; y<br/></p>").empty());
  CHECK(!fault_of("<p></p>").empty());
  CHECK(!fault_of(begin + "<p>").empty());
  CHECK(!fault_of(begin + "<p><b></p></b>").empty());
  CHECK(!fault_of(begin + "<p>x < y</p>").empty());
  CHECK(!fault_of(begin + "<p>x & y</p>").empty());
  CHECK(!fault_of(begin + "<p title=\"a\"b\"></p>").empty());
}

TEST_CASE("A report is a well-formed page that needs nothing else") {
  for (const ReportData& data : {sample_report(), crowded_report(), ReportData{}}) {
    const std::string page = html_report(data);
    CHECK(fault_of(page).empty());
    CHECK(!holds(page, "http"));
    CHECK(!holds(page, "<script"));
    CHECK(!holds(page, "@import"));
    CHECK(!holds(page, " src="));
    CHECK(!holds(page, "<link"));
    CHECK(!holds(page, "nan"));
    CHECK(!holds(page, "inf"));
  }
}

TEST_CASE("A report shows its numbers") {
  const std::string page = html_report(sample_report());
  // Text, in its element; bars and bands; lengths; a wait; the front; an end of the tornado.
  for (const std::string_view text :
       {"<h1>Which method is fastest at 131,072 tokens?</h1>", "8 × A800-80G",
        "APB is fastest with 0.76 s", "--doc-len 131072", "0.76 s (0.69 s – 0.83 s)",
        "attention 70 %", "FFN 35 %", ">131,072</text>", ">1,048,576</text>",
        "APB, 131,072 tokens: 2.61 ×", "rank 7", "rank 0, compute: wait, 2.25 ms from 3.15 ms",
        "communication: all-gather", "APB, 8 ranks, l_a 4096: 1.16 s, 8 GPUs, quality 0.93",
        "50 GB/s: 0.74 s", "base 0.76 s", "1,835,008", "Table 16 of the paper"}) {
    INFO(text);
    CHECK(holds(page, text));
  }
  CHECK(times_in(page, "<svg class=\"figure\"") == 5);
  CHECK(times_in(page, "<desc>") == 5);
  CHECK(times_in(page, "<figcaption>") == 5);
  CHECK(times_in(page, "<details>") == 5);
  CHECK(times_in(page, "role=\"img\" aria-label=") == 5);
}

TEST_CASE("Text of a report is shown, never obeyed") {
  CHECK(escaped("a<b>&\"c'\x01\n") == "a&lt;b&gt;&amp;&quot;c&#39;\uFFFD\n");
  ReportData data = sample_report();
  const std::string evil = "<i onclick=\"x\">&'";
  data.title = data.subtitle = data.answer = data.command = data.baseline = data.timeline_of = evil;
  data.parts[0].name = data.speedup[0].method = data.pareto[0].label = evil;
  data.tornado[0].input = data.tornado[0].low_label = data.tornado[0].high_label = evil;
  data.tables[0].title = data.tables[0].header[0] = data.tables[0].rows[0][0] = evil;
  data.notes[0] = evil;
  const std::string page = html_report(data);
  CHECK(fault_of(page).empty());
  CHECK(!holds(page, "<i "));
  CHECK(times_in(page, escaped(evil)) >= 17);
}

TEST_CASE("Sections without data are left out") {
  const auto sections = [](const ReportData& data) {
    return times_in(html_report(data), "<section ");
  };
  CHECK(sections(ReportData{}) == 0);
  const ReportData all = sample_report();
  CHECK(sections(all) == 7);
  const auto without = [&](auto member) {
    ReportData data = all;
    (data.*member).clear();
    return data;
  };
  CHECK(!holds(html_report(without(&ReportData::parts)), "id=\"parts\""));
  CHECK(!holds(html_report(without(&ReportData::speedup)), "id=\"speedup\""));
  CHECK(!holds(html_report(without(&ReportData::timeline)), "id=\"timeline\""));
  CHECK(!holds(html_report(without(&ReportData::pareto)), "id=\"pareto\""));
  CHECK(!holds(html_report(without(&ReportData::tornado)), "id=\"tornado\""));
  CHECK(!holds(html_report(without(&ReportData::tables)), "id=\"tables\""));
  CHECK(!holds(html_report(without(&ReportData::notes)), "id=\"notes\""));
  CHECK(!holds(html_report(without(&ReportData::answer)), "class=\"answer\""));
}

TEST_CASE("Data that cannot be drawn makes no section, and no nonsense") {
  const double nan = std::nan("");
  const Seconds never(std::numeric_limits<double>::infinity());
  ReportData data;
  data.parts = {{"out of memory", {}, {}, {}, {never, never, never}}, {"zero", {}, {}, {}, {}}};
  data.speedup = {
      {"none", {}}, {"not a number", {{1024, nan, nan, nan}}}, {"zero", {{0, 0, 0, 0}}}};
  data.num_ranks = 1;
  data.timeline = {{5, false, false, "no such rank", Seconds(0), Seconds(1)},
                   {0, false, false, "empty", Seconds(1), Seconds(1)}};
  data.pareto = {{"never", never, 1, {}, {}, true}};
  data.tornado = {{"never", "a", "b", never, Seconds(1), Seconds(1)}};
  CHECK(times_in(html_report(data), "<section ") == 0);

  // One point each, and inputs that move nothing: axes without an extent.
  data.speedup = {{"one", {{1024, 1, 1, 1}}}};
  data.pareto = {{"one", Seconds(1), 1, 0.0, {}, false}};
  data.tornado = {{"none", "a", "b", Seconds(1), Seconds(1), Seconds(1)}};
  const std::string page = html_report(data);
  CHECK(times_in(page, "<section ") == 3);
  CHECK(fault_of(page).empty());
  CHECK(!holds(page, "nan,"));
  CHECK(!holds(page, "\"nan"));
  CHECK(!holds(page, "\"inf"));
  CHECK(!holds(page, "inf,"));
}

TEST_CASE("Long lists are shortened, and the report says so") {
  ReportData data;
  const auto beaten = [](Index gpus) {
    return ParetoPoint{"beaten", Seconds(2), gpus, {}, {}, false};
  };
  data.pareto.assign(100'000, beaten(1));
  data.pareto.insert(data.pareto.end(), 100'000, beaten(64));
  data.pareto.push_back({"best", Seconds(1), 8, {}, {}, true});
  data.tornado.assign(30, {"input", "a", "b", Seconds(1), Seconds(2), Seconds(1)});
  const std::string page = html_report(data);
  CHECK(holds(page, "200,001 configurations, 1 of them"));
  CHECK(holds(page, "Of 200,000 circles 1,493 are drawn"));
  CHECK(holds(page, "beaten: 2.00 s, 1 GPU<"));
  CHECK(holds(page, "beaten: 2.00 s, 64 GPUs<"));
  CHECK(holds(page, "best: 1.00 s, 8 GPUs<"));
  CHECK(holds(page, "Of 30 inputs the first 20 are shown"));
  CHECK(page.size() < 1'000'000);
}

TEST_CASE("Numbers of a report") {
  CHECK(time_text(Seconds(0.7604)) == "0.76 s");
  CHECK(time_text(Seconds(12.34)) == "12.3 s");
  CHECK(time_text(Seconds(123.4)) == "123 s");
  CHECK(time_text(Seconds(99.97)) == "100 s");
  CHECK(time_text(Seconds(12345)) == "12,345 s");
  CHECK(time_text(Seconds(0.0415)) == "41.5 ms");
  CHECK(time_text(Seconds(0.00001234)) == "12.3 µs");
  CHECK(time_text(Seconds(0)) == "0 s");
  CHECK(time_text(Seconds(std::nan(""))) == "–");
  CHECK(number_text(2.613) == "2.61");
  CHECK(number_text(131072) == "131,072");
  CHECK(number_text(0.0483) == "0.0483");
  CHECK(percent_text(0.417) == "42 %");
  CHECK(shortened("µµµµ", 4) == "µµµµ");
  CHECK(shortened("µµµµµ", 4) == "µµµ…");
}

}  // namespace
}  // namespace apb::sim::report
