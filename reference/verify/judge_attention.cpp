// Verdicts on out and lse of some rows.

#include <fmt/format.h>

#include <algorithm>

#include "reference/verify/judge.hpp"
#include "reference/verify/rounded_inputs.hpp"

namespace apb {
namespace {

/// Whether the result is right for inputs rounded to the candidate's type.
bool explained_by_rounded_inputs(const AttentionSubject& subject, const WrongResult& wrong) {
  if (subject.case_file == nullptr) return false;
  if (!rounds_inputs(subject.compute_type, subject.case_file->value_type)) return false;
  const AttentionRows truth =
      true_attention(with_rounded_inputs(subject.setup, subject.compute_type), wrong.truth.rows,
                     wrong.truth.heads);
  const auto checks =
      check_attention(wrong.out, wrong.lse, truth, wrong.tolerances, subject.precision.out_type);
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.pass(); });
}

/// \param failed not empty
Diagnosis diagnose_attention(const AttentionSubject& subject, const WrongResult& wrong,
                             const std::vector<BudgetCheck>& failed) {
  Diagnosis diagnosis;
  if (explained_by_rounded_inputs(subject, wrong)) {
    diagnosis.places = {{wrong.lse.rows() == 0 ? "out" : "out and lse", "", ""}};
    diagnosis.explanations = {
        {fmt::format("right for inputs rounded to {}, but the case's are {}",
                     to_string(subject.compute_type), to_string(subject.case_file->value_type)),
         0}};
    return diagnosis;
  }
  const auto fails = [&](std::string_view name) {
    return std::find_if(failed.begin(), failed.end(),
                        [&](const auto& one) { return one.name == name; });
  };
  const auto bias = fails(kOutBias);
  const bool rows_are_right = fails(kOutWorstRow) == failed.end() && fails(kLse) == failed.end();
  if (bias == failed.end() || !rows_are_right) return diagnose(wrong);
  diagnosis.places = {{"out", "", ""}};
  diagnosis.explanations = {{bias->worst.candidate < 0
                                 ? "out is cut off towards zero, not rounded to nearest"
                                 : "out is rounded away from zero, not to nearest",
                             0}};
  return diagnosis;
}

std::string bias_in_words(const BudgetCheck& bias) {
  return fmt::format("mean {:+.3f} last places, of rounding to nearest {:+.3f}",
                     bias.worst.candidate, bias.worst.reference);
}

}  // namespace

void judge_out_type(int rank, const std::string& quantity, ValueType type,
                    const HeadsTensor<double>& out, Judgement& judgement) {
  // The budget of float32 is that of float64: to say so of a more exact number loosens nothing.
  if (type != ValueType::kBfloat16 && type != ValueType::kFloat16) return;
  const auto others = std::count_if(out.values().begin(), out.values().end(), [&](double value) {
    return !std::isnan(value) && round_to(type, value) != value;
  });
  if (others == 0) return;
  judgement.verdicts.push_back({rank,
                                quantity + " dtype",
                                static_cast<double>(others),
                                0,
                                {},
                                false,
                                fmt::format("{} of {} numbers are no {}, which out_dtype says",
                                            others, out.values().size(), to_string(type))});
}

void judge_attention(const AttentionSubject& subject, int rank, const std::string& prefix,
                     std::span<const Index> rows, const HeadsTensor<double>& out,
                     const Matrix<double>& lse, Judgement& judgement) {
  const std::vector<Index> heads = count_up(subject.setup.query.heads);
  const MeasuredAttention measured =
      measured_attention(subject.setup, rows, heads, subject.precision.weight_type);
  const AttentionRows& truth = measured.truth;
  const Tolerances tolerances = attention_tolerances(measured, subject.precision);

  std::vector<BudgetCheck> failed;
  for (const BudgetCheck& check :
       check_attention(out, lse, truth, tolerances, subject.precision.out_type)) {
    judgement.verdicts.push_back({rank, prefix + std::string(check.name), check.error,
                                  check.tolerance, check.worst, check.pass(),
                                  check.name == kOutBias ? bias_in_words(check) : ""});
    if (!check.pass()) failed.push_back(check);
  }
  if (out.rows() > 0) {
    const ValueType type =
        subject.case_file != nullptr ? subject.case_file->value_type : subject.precision.out_type;
    judgement.field_checks.push_back({rank, prefix + "out", field_checks(out, truth.out, type)});
  }
  if (failed.empty()) return;
  const auto of_lse = [](const BudgetCheck& check) { return check.name == kLse; };
  const WrongResult wrong{subject.setup,
                          subject.case_file,
                          subject.rank,
                          truth,
                          out,
                          lse,
                          tolerances,
                          !std::all_of(failed.begin(), failed.end(), of_lse),
                          std::any_of(failed.begin(), failed.end(), of_lse)};
  Diagnosis diagnosis = diagnose_attention(subject, wrong, failed);
  for (WrongPlace& place : diagnosis.places) place.quantity = prefix + place.quantity;
  judgement.diagnoses.push_back({rank, std::move(diagnosis)});
}

}  // namespace apb
