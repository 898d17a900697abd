#include "tests/verify/diagnosis_cases.hpp"

#include "tests/support/catch.hpp"

namespace apb {

const std::vector<NamedShape>& shapes() {
  static const std::vector<NamedShape> all{
      {"9/3", {3, {70, 53, 61}, 21, 2, 25, 9, 3, 16}},
      {"32/8", {3, {40, 40, 40}, 10, 0, 11, 32, 8, 16}},
      {"28/4", {3, {60, 20, 45}, 18, 3, 19, 28, 4, 8}},
      {"1/1", {3, {150, 141, 137}, 37, 1, 45, 1, 1, 32}},
      {"9/3 official",
       {3, {70, 53, 61}, 23, 2, 25, 9, 3, 16, 2, Compressor::kRandom, AnchorConvention::kOfficial}},
      {"28/4 star", {3, {60, 20, 45}, 18, 3, 0, 28, 4, 8}},
      {"1/1 star official",
       {2, {150, 141}, 37, 1, 0, 1, 1, 32, 2, Compressor::kRandom, AnchorConvention::kOfficial}},
  };
  return all;
}

std::string diagnosis_text(const CaseFile& case_file, const CandidateFile& candidate) {
  const Judgement judgement = judge(case_file, candidate, {});
  CHECK(!judgement.pass());
  if (judgement.diagnoses.empty()) return "no diagnosis";
  return judgement.diagnoses.back().diagnosis.text();
}

std::string first_explanation(const CaseFile& case_file, const CandidateFile& candidate) {
  const Judgement judgement = judge(case_file, candidate, {});
  CHECK(!judgement.pass());
  if (judgement.diagnoses.empty()) return "no diagnosis";
  const Diagnosis& diagnosis = judgement.diagnoses.back().diagnosis;
  return diagnosis.explanations.empty() ? diagnosis.text() : diagnosis.explanations[0].mistake;
}

}  // namespace apb
