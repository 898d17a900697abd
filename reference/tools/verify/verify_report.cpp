#include "reference/tools/verify/verify_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

namespace apb {
namespace {

std::string rank_name(int rank) {
  return rank == kMergedRank ? "all" : std::to_string(rank);
}

std::string place_name(const WorstPlace& worst) {
  if (worst.row < 0) return "";
  std::string place = fmt::format("row {} head {}", worst.row, worst.head);
  if (worst.element >= 0) place += fmt::format(" element {}", worst.element);
  return place;
}

std::string row_text(const Verdict& verdict) {
  const std::string place = place_name(verdict.worst);
  std::string values;
  if (!place.empty() && verdict.quantity != "kept_positions") {
    values = fmt::format("{:.6g} (truth {:.6g})", verdict.worst.candidate, verdict.worst.reference);
  }
  const std::string text =
      fmt::format("{:<5} {:<26} {:>9.3g} {:>9.3g}  {:<4}  {:<30} {}", rank_name(verdict.rank),
                  verdict.quantity, verdict.error, verdict.budget, verdict.pass ? "pass" : "FAIL",
                  place, verdict.note.empty() ? values : verdict.note);
  return text.substr(0, text.find_last_not_of(' ') + 1) + '\n';
}

std::string indented(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) {
    text.replace(at, 1, "\n  ");
  }
  return "  " + text + '\n';
}

/// A number, or what JSON has no number for as text.
nlohmann::json number(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}", value);
}

nlohmann::json verdict_json(const Verdict& verdict) {
  nlohmann::json json{{"rank", verdict.rank},           {"quantity", verdict.quantity},
                      {"error", number(verdict.error)}, {"budget", number(verdict.budget)},
                      {"pass", verdict.pass},           {"note", verdict.note}};
  if (verdict.worst.row >= 0) {
    json["worst"] = {{"row", verdict.worst.row},
                     {"head", verdict.worst.head},
                     {"element", verdict.worst.element},
                     {"candidate", number(verdict.worst.candidate)},
                     {"truth", number(verdict.worst.reference)}};
  }
  return json;
}

nlohmann::json diagnosis_json(const RankDiagnosis& one) {
  const Diagnosis& diagnosis = one.diagnosis;
  nlohmann::json explanations = nlohmann::json::array();
  for (const Explanation& explanation : diagnosis.explanations) {
    explanations.push_back(
        {{"mistake", explanation.mistake}, {"error_in_budgets", number(explanation.error)}});
  }
  nlohmann::json places = nlohmann::json::array();
  for (const WrongPlace& place : diagnosis.places) {
    places.push_back({{"quantity", place.quantity}, {"rows", place.rows}, {"heads", place.heads}});
  }
  return {{"rank", one.rank},
          {"places", std::move(places)},
          {"error_in_budgets", number(diagnosis.error)},
          {"explanations", std::move(explanations)}};
}

nlohmann::json field_checks_json(const RankFieldChecks& one) {
  nlohmann::json checks = nlohmann::json::array();
  for (const FieldCheck& check : one.checks) {
    checks.push_back(
        {{"check", check.name}, {"pass", check.pass}, {"figure", number(check.figure)}});
  }
  return {{"rank", one.rank}, {"quantity", one.quantity}, {"checks", std::move(checks)}};
}

nlohmann::json results_json(const Judgement& judgement) {
  nlohmann::json json{{"pass", judgement.pass()},
                      {"verdicts", nlohmann::json::array()},
                      {"not_judged", nlohmann::json::array()},
                      {"diagnoses", nlohmann::json::array()},
                      {"others", nlohmann::json::array()}};
  for (const Verdict& verdict : judgement.verdicts) {
    json["verdicts"].push_back(verdict_json(verdict));
  }
  for (const NotJudged& one : judgement.not_judged) {
    json["not_judged"].push_back(
        {{"rank", one.rank}, {"quantity", one.quantity}, {"why", one.why}});
  }
  for (const RankDiagnosis& one : judgement.diagnoses) {
    json["diagnoses"].push_back(diagnosis_json(one));
  }
  for (const RankFieldChecks& one : judgement.field_checks) {
    json["others"].push_back(field_checks_json(one));
  }
  return json;
}

/// "2 of 4 ranks judged (1, 3), 520 of 2576 rows": what is not whole is spelt out.
std::string coverage_text(const Coverage& coverage) {
  std::string text =
      fmt::format("{} of {} ranks judged", coverage.ranks.size(), coverage.ranks_of_case);
  if (!coverage.ranks.empty() && std::ssize(coverage.ranks) < coverage.ranks_of_case) {
    text += fmt::format(" ({})", fmt::join(coverage.ranks, ", "));
  }
  if (coverage.rows < coverage.rows_of_ranks) {
    text += fmt::format(", {} of {} rows", coverage.rows, coverage.rows_of_ranks);
  }
  return coverage.decode ? text + ", and decode" : text;
}

/// "pass 99.98 %" or "FAIL 0.9871". Digits of shares are cut off, so that only all is 100 %.
std::string check_text(const FieldCheck& check, bool is_cosine) {
  return fmt::format("{} {}", check.pass ? "pass" : "FAIL",
                     is_cosine ? fmt::format("{:.4f}", check.figure)
                               : fmt::format("{:.2f} %", std::floor(check.figure * 1e4) / 100));
}

/// What others would have said: a line a rank.
std::string others_text(const std::vector<RankFieldChecks>& all) {
  if (all.empty()) return "";
  std::string text =
      "\nWhat others would have said of the same out (elements that are near enough):\n";
  const auto add_row = [&](const std::string& rank, const std::string& quantity, auto cell) {
    text += fmt::format("{:<5} {:<19}", rank, quantity);
    for (std::size_t i = 0; i < kFieldCheckNames.size(); ++i) {
      text += fmt::format(" {:<20}", cell(i));
    }
    text = text.substr(0, text.find_last_not_of(' ') + 1) + '\n';
  };
  add_row("rank", "quantity", [](std::size_t i) { return std::string(kFieldCheckNames[i]); });
  for (const RankFieldChecks& one : all) {
    add_row(rank_name(one.rank), one.quantity, [&](std::size_t i) {
      return check_text(one.checks[i], i + 1 == kFieldCheckNames.size());
    });
  }
  return text;
}

/// How many of the wrong shapes, or of the right ones, each of the field's checks would have
/// passed.
std::string others_count(const std::vector<ShapeResult>& results, bool of_wrong) {
  int shapes = 0;
  std::array<int, kFieldCheckNames.size()> passed{};
  for (const ShapeResult& result : results) {
    if (result.ending != PluginEnding::kOk || result.judgement.pass() == of_wrong) continue;
    ++shapes;
    for (std::size_t i = 0; i < passed.size(); ++i) {
      const auto& all = result.judgement.field_checks;
      passed[i] +=
          std::all_of(all.begin(), all.end(), [&](const auto& one) { return one.checks[i].pass; });
    }
  }
  if (shapes == 0) return "";
  std::string text = fmt::format("Of {} {} shapes others would have passed:", shapes,
                                 of_wrong ? "wrong" : "right");
  for (std::size_t i = 0; i < passed.size(); ++i) {
    text += fmt::format("{} {} {}", i == 0 ? "" : ",", kFieldCheckNames[i], passed[i]);
  }
  return text + '\n';
}

/// What out alone does not show.
constexpr std::string_view kUnseenWithoutLse =
    ". Not seen: a wrong lse (base 2, +inf for rows that see nothing) and what it does to a merge, "
    "lost keys whose values are near 0 or like the others";

std::string_view ending(bool pass, const Judgement& judgement) {
  if (!pass) return "FAIL";
  return judgement.without_lse() ? "PASS without lse" : "PASS";
}

std::string ending_name(const ShapeResult& result) {
  switch (result.ending) {
    case PluginEnding::kUnsupported:
      return "unsupported";
    case PluginEnding::kFailed:
      return "failed";
    case PluginEnding::kOk:
      break;
  }
  return result.judgement.pass() ? "pass" : "wrong";
}

}  // namespace

std::string judgement_text(const Judgement& judgement, bool with_others) {
  std::string text = fmt::format("{:<5} {:<26} {:>9} {:>9}  {:<4}  {:<30} {}\n", "rank", "quantity",
                                 "error", "budget", "", "worst at", "candidate there");
  for (const Verdict& verdict : judgement.verdicts) text += row_text(verdict);

  std::map<std::string, std::vector<std::string>> missing;  // why and what, of which ranks
  for (const NotJudged& one : judgement.not_judged) {
    missing[one.quantity + ": " + one.why].push_back(rank_name(one.rank));
  }
  for (const auto& [what, ranks] : missing) {
    text += fmt::format("not judged: {} (rank {})\n", what, fmt::join(ranks, ", "));
  }
  for (const RankDiagnosis& one : judgement.diagnoses) {
    text += fmt::format("\nrank {}: {}\n", rank_name(one.rank), one.diagnosis.text());
  }
  if (with_others || !judgement.pass()) text += others_text(judgement.field_checks);
  const auto failed = std::count_if(judgement.verdicts.begin(), judgement.verdicts.end(),
                                    [](const Verdict& verdict) { return !verdict.pass; });
  if (failed > 0 && !judgement.mismatch.empty()) text += '\n' + judgement.mismatch + '\n';
  return text + fmt::format("\n{}: {} of {} checks failed; {}{}{}\n",
                            ending(failed == 0, judgement), failed, judgement.verdicts.size(),
                            coverage_text(judgement.coverage),
                            judgement.declared.empty() ? "" : "; declared: " + judgement.declared,
                            failed == 0 && judgement.without_lse() ? kUnseenWithoutLse : "");
}

nlohmann::json judgement_json(const Judgement& judgement) {
  const Coverage& coverage = judgement.coverage;
  nlohmann::json json = results_json(judgement);
  json["declared"] = judgement.declared;
  json["mismatch"] = judgement.mismatch;
  json["without_lse"] = judgement.without_lse();
  json["judged"] = {{"ranks", coverage.ranks},
                    {"ranks_of_case", coverage.ranks_of_case},
                    {"rows", coverage.rows},
                    {"rows_of_ranks", coverage.rows_of_ranks},
                    {"decode", coverage.decode}};
  return json;
}

std::string plugin_text(const std::vector<ShapeResult>& results, bool with_others) {
  std::string text;
  std::map<std::string, int> counts;
  for (const ShapeResult& result : results) {
    const std::string ending = ending_name(result);
    ++counts[ending];
    if (ending == "pass") continue;
    text += fmt::format("{:<11} {}\n", ending, result.shape);
    if (!result.why.empty()) text += indented("the plug-in " + result.why);
    for (const RankDiagnosis& one : result.judgement.diagnoses) {
      text += indented(fmt::format("item {}: {}", one.rank, one.diagnosis.text()));
    }
  }
  if (with_others || counts["wrong"] > 0) text += others_count(results, counts["wrong"] > 0);
  const std::string_view verdict = counts["wrong"] + counts["failed"] > 0 ? "FAIL"
                                   : counts["unsupported"] > 0 ? "PASS without the unsupported"
                                                               : "PASS";
  return text + fmt::format("{}: of {} shapes {} right, {} wrong, {} failed, {} unsupported\n",
                            verdict, results.size(), counts["pass"], counts["wrong"],
                            counts["failed"], counts["unsupported"]);
}

nlohmann::json plugin_json(const std::vector<ShapeResult>& results) {
  nlohmann::json json = nlohmann::json::array();
  for (const ShapeResult& result : results) {
    nlohmann::json one = results_json(result.judgement);
    one["pass"] = result.pass();
    one["shape"] = result.shape;
    one["ending"] = ending_name(result);
    one["why"] = result.why;
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace apb
