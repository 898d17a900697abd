#include "cuda/tools/bench/judge_methods.hpp"

#include "cuda/benchmarks/absent_partners.hpp"
#include "cuda/tools/bench/judge_layer.hpp"
#include "cuda/tools/bench/judge_steps.hpp"
#include "reference/cli/text_table.hpp"

namespace apb::cuda {
namespace {

/// Rows of a rank that are judged, about.
constexpr Index kJudgedRows = 64;

std::string verdict_text(const std::string& name, const Judgement& judgement) {
  std::string text;
  for (const Verdict& verdict : judgement.verdicts) {
    text += fmt::format("  {:<14}{:<6}{:<22}error {:.3g} of {:.3g}: {}\n", name, verdict.rank,
                        verdict.quantity, verdict.error, verdict.budget,
                        verdict.pass ? "right" : "WRONG");
  }
  for (const RankDiagnosis& found : judgement.diagnoses) {
    text += fmt::format("  {}\n", found.diagnosis.quantities());
  }
  return text;
}

/// Counts checks and prints those that fail.
class Tally {
 public:
  explicit Tally(const Announcer& announce) : announce_(announce) {}

  void add(const std::string& name, const Judgement& judgement) {
    checks_ += std::ssize(judgement.verdicts);
    if (!judgement.pass()) wrong(verdict_text(name, judgement));
  }
  void add(const JudgedStep& step) {
    ++checks_;
    const StepUse& use = step.use;
    if (use.is_right()) return;
    wrong(fmt::format("  {}: row {} column {} is {:.6g}, not {:.6g}: {:.3g} of what is allowed\n",
                      step.name, use.row, use.column, use.found, use.truth, use.share));
  }
  [[nodiscard]] bool right() const { return right_; }
  [[nodiscard]] Index checks() const { return checks_; }

 private:
  void wrong(const std::string& text) {
    right_ = false;
    announce_.clear();
    fmt::print("{}", text);
  }

  const Announcer& announce_;
  bool right_ = true;
  Index checks_ = 0;
};

}  // namespace

bool methods_are_right(const DeviceModel<Bfloat16>& model, const LengthQuestion& question,
                       const Announcer& announce) {
  const int last = question.num_ranks - 1;
  const ApbConfig apb = paper_config(model.shape, question);
  const ApbConfig star = star_config_of(apb), full = full_config_of(apb);
  std::vector<std::tuple<Method, ApbConfig, int>> subjects{{Method::kFull, full, 0}};
  if (last > 0) {
    subjects.insert(
        subjects.end(),
        {{Method::kStar, star, last}, {Method::kApb, apb, 0}, {Method::kApb, apb, last}});
  }
  Tally tally(announce);
  const auto say = [&](const std::string& what) {
    announce(fmt::format("{}, {} tokens: judging {}", model.shape.name, question.doc_len, what));
  };
  for (const auto& [method, config, rank] : subjects) {
    const std::string name(to_string(method));
    say(fmt::format("{} rank {}", name, rank));
    AbsentPartners partners(rank, config.num_ranks);
    BlockLayer layer(method, config, partners, model);
    tally.add(name, judge_layer(layer, kJudgedRows));
  }
  if (last > 0) {
    say("zigzag_ring");
    RingLayer ring(question.doc_len, question.num_ranks, question.num_ranks / 2, model);
    tally.add("zigzag_ring", judge_ring(ring, kJudgedRows));
  }
  say("a layer's other steps");
  AbsentPartners partners(last, apb.num_ranks);
  BlockLayer layer(Method::kApb, apb, partners, model);
  for (const JudgedStep& step : judge_steps(layer)) tally.add(step);

  announce.clear();
  fmt::print("{}, {} tokens: {} checks of all steps against double: {}\n", model.shape.name,
             with_separators(question.doc_len), tally.checks(), tally.right() ? "right" : "WRONG");
  return tally.right();
}

}  // namespace apb::cuda
