#include "cuda/tools/bench/judge_methods.hpp"

#include "cuda/tools/bench/judge_layer.hpp"

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
    text += fmt::format("  {}\n", found.diagnosis.quantities);
  }
  return text;
}

}  // namespace

bool methods_are_right(const DeviceModel<Bfloat16>& model, const LengthQuestion& question,
                       const Announcer& announce) {
  const ApbConfig apb = paper_config(model.shape, question);
  const ApbConfig star = star_config_of(apb), full = full_config_of(apb);
  std::vector<std::tuple<Method, ApbConfig, int>> subjects{{Method::kFull, full, 0}};
  if (question.num_ranks > 1) {
    const int last = question.num_ranks - 1;
    subjects.insert(
        subjects.end(),
        {{Method::kStar, star, last}, {Method::kApb, apb, 0}, {Method::kApb, apb, last}});
  }
  bool right = true;
  Index checks = 0;
  const auto take = [&](const std::string& name, const Judgement& judgement) {
    checks += std::ssize(judgement.verdicts);
    if (judgement.pass()) return;
    right = false;
    announce.clear();
    fmt::print("{}", verdict_text(name, judgement));
  };
  for (const auto& [method, config, rank] : subjects) {
    const std::string name(to_string(method));
    announce(fmt::format("{}, {} tokens: judging {} rank {}", model.shape.name, question.doc_len,
                         name, rank));
    BlockLayer layer(method, config, rank, model);
    take(name, judge_layer(layer, kJudgedRows));
  }
  if (question.num_ranks > 1) {
    announce(fmt::format("{}, {} tokens: judging zigzag_ring", model.shape.name, question.doc_len));
    RingLayer ring(question.doc_len, question.num_ranks, question.num_ranks / 2, model);
    take("zigzag_ring", judge_ring(ring, kJudgedRows));
  }
  announce.clear();
  fmt::print("{}, {} tokens: {} checks of attention, importance and selection against double: {}\n",
             model.shape.name, question.doc_len, checks, right ? "right" : "WRONG");
  return right;
}

}  // namespace apb::cuda
