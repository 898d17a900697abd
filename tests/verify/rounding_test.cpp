// The constants of the error budget, in both directions: right kernels of every precision are
// within it whatever the values, wrong ones are not. `rounding_tests "[.long]"` tries some thousand
// more, up to 34,816 keys (minutes).

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "reference/verify/budget.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/verify/rounding_kernels.hpp"

namespace apb {
namespace {

constexpr std::array kTypes{ValueType::kBfloat16, ValueType::kFloat16, ValueType::kFloat32};

/// A right kernel for inputs of a type.
RoundingKernel random_rounding_kernel(RandomTensors& random, ValueType type) {
  const auto one_in = [&](Index n) { return random.below(n) == 0; };
  RoundingKernel kernel;
  kernel.p_type = one_in(6) ? ValueType::kFloat32 : type;
  kernel.out_type = one_in(3) ? ValueType::kFloat32 : type;
  kernel.tile = Index{32} << random.below(3);
  kernel.base_2 = !one_in(4);
  kernel.lazy = kernel.base_2 && one_in(2);
  kernel.tensor_core = kernel.p_type != ValueType::kFloat32 && one_in(2);
  kernel.backwards = one_in(2);
  kernel.parts = 1 << random.below(3);
  kernel.merge = static_cast<Merge>(random.below(3));
  if (kernel.base_2 && one_in(5)) kernel.exp_degree = static_cast<int>(3 + random.below(2));
  return kernel;
}

/// What a kernel would declare.
Precision precision_of(const RoundingKernel& kernel) {
  const double error = exp_error(kernel.exp_degree);
  return {kernel.p_type, kernel.out_type, std::max(kExpAccuracy, 1.01 * error)};
}

std::vector<BudgetCheck> judged(const RoundingKernel& kernel, const RoundingProblem& problem,
                                const Precision& precision) {
  const AttentionRows result = run_kernel(kernel, problem);
  const MeasuredAttention measured =
      measured_attention(problem.setup(), result.rows, result.heads, precision.weight_type);
  return check_attention(result.out, result.lse, measured.truth,
                         attention_tolerances(measured, precision), precision.out_type);
}

struct LargestShare {
  double share = 0;
  std::string what;
};

/// Right kernels on one kind of problem.
void try_right(std::uint64_t seed, Logits logits, Values values, const ProblemSize& size,
               int kernels, std::map<std::string, LargestShare>& worst) {
  RandomTensors random(seed);
  for (const ValueType type : kTypes) {
    const RoundingProblem problem = make_problem(seed, logits, values, size, type);
    for (int i = 0; i < kernels; ++i) {
      const RoundingKernel kernel = random_rounding_kernel(random, type);
      const std::string what =
          fmt::format("{} logits, {} values, {} keys of {}: {}", in_words(logits), in_words(values),
                      size.keys, size.head_dim, kernel.text());
      for (const BudgetCheck& check : judged(kernel, problem, precision_of(kernel))) {
        INFO(what << ": " << check.name << " " << check.error << " of " << check.tolerance);
        CHECK(check.pass());
        const double share = budget_share(check.error, check.tolerance);
        LargestShare& kept = worst[std::string(check.name)];
        if (share > kept.share) kept = {share, what};
      }
    }
  }
}

void report(const std::map<std::string, LargestShare>& worst) {
  for (const auto& [name, of] : worst) WARN(name << ": up to " << of.share << ", " << of.what);
}

TEST_CASE("right kernels are within the budget, whatever the values", "[verify]") {
  std::map<std::string, LargestShare> worst;
  std::uint64_t seed = 100;
  for (const Logits logits : kAllLogits) {
    for (const Values values : kAllValues) {
      try_right(++seed, logits, values, {64, 4, 150, 64}, 2, worst);
    }
  }
  report(worst);
}

TEST_CASE("right kernels are within the budget, long", "[.long]") {
  struct Round {
    ProblemSize size;
    int kernels;
    int seeds;
  };
  std::map<std::string, LargestShare> worst;
  std::uint64_t seed = 10'000;
  for (const auto& [size, kernels, seeds] : {Round{{64, 4, 1, 64}, 5, 2},
                                             {{64, 4, 2, 64}, 5, 3},
                                             {{64, 4, 5, 128}, 5, 3},
                                             {{64, 4, 17, 16}, 5, 3},
                                             {{64, 4, 63, 256}, 5, 2},
                                             {{64, 4, 300, 64}, 5, 4},
                                             {{64, 4, 300, 128}, 5, 3},
                                             {{64, 4, 1000, 128}, 3, 2},
                                             {{16, 4, 8000, 64}, 2, 1},
                                             {{4, 2, 34816, 128}, 1, 1}}) {
    for (int round = 0; round < seeds; ++round) {
      for (const Logits logits : kAllLogits) {
        for (const Values values : kAllValues) {
          try_right(++seed, logits, values, size, kernels, worst);
        }
      }
    }
  }
  report(worst);
}

/// A mistake and where it must be seen.
struct Wrong {
  std::string name;
  std::function<void(RoundingKernel&)> make;
  std::function<bool(Logits, Values, ValueType)> shows = [](Logits, Values, ValueType) {
    return true;
  };
};

const std::vector<Wrong>& wrong_kernels() {
  static const std::vector<Wrong> all{
      {"one key is lost", [](RoundingKernel& kernel) { kernel.lost_count = 1; }},
      {"64 keys are lost", [](RoundingKernel& kernel) { kernel.lost_count = 64; }},
      {"the merge has no weights",
       [](RoundingKernel& kernel) {
         kernel.parts = 4;
         kernel.merge = Merge::kByLse;
         kernel.unweighted_merge = true;
       },
       // Scores that are nearly equal give nearly equal weights.
       [](Logits logits, Values, ValueType) { return logits != Logits::kTiny; }},
      {"exp is a polynomial of degree 3, and nothing is said",
       [](RoundingKernel& kernel) { kernel.exp_degree = 3; }},
      {"P is rounded to 4 bits, and nothing is said",
       [](RoundingKernel& kernel) { kernel.rounds_p_to_fp8 = true; },
       // Where the weights are nearly 1, or one key has all the weight, it changes little.
       [](Logits logits, Values, ValueType) {
         return logits == Logits::kNormal || logits == Logits::kWide;
       }},
      {"out is cut off, not rounded", [](RoundingKernel& kernel) { kernel.truncates_out = true; },
       // Not where P in bfloat16 hides it: rows that cancel, and weights that all round alike.
       [](Logits logits, Values values, ValueType type) {
         return type != ValueType::kFloat32 && values != Values::kAlternating &&
                logits != Logits::kTiny;
       }},
      {"partial results in bfloat16, P in float16",
       [](RoundingKernel& kernel) {
         kernel.parts = 4;
         kernel.merge = Merge::kByLse;
         kernel.partial_type = ValueType::kBfloat16;
       },
       [](Logits logits, Values, ValueType type) {
         return type == ValueType::kFloat16 && logits != Logits::kTiny;
       }},
      {"products of fp32 inputs in float16",
       [](RoundingKernel& kernel) { kernel.p_type = ValueType::kFloat16; },
       [](Logits logits, Values, ValueType type) {
         return type == ValueType::kFloat32 && logits != Logits::kTiny;
       }},
  };
  return all;
}

TEST_CASE("wrong kernels are not within the budget", "[verify]") {
  constexpr Index kKeys = 300;
  int failed = 0;
  std::uint64_t seed = 200;
  for (const Logits logits : {Logits::kNormal, Logits::kWide, Logits::kTiny}) {
    for (const Values values : {Values::kNormal, Values::kAlternating, Values::kColumn}) {
      for (const ValueType type : kTypes) {
        const RoundingProblem problem =
            make_problem(++seed, logits, values, {64, 4, kKeys, 64}, type);
        for (const Wrong& wrong : wrong_kernels()) {
          if (!wrong.shows(logits, values, type)) continue;
          RoundingKernel kernel;
          kernel.p_type = kernel.out_type = type;
          kernel.lost_begin = kKeys / 2;
          const Precision said{type, type, kExpAccuracy};
          wrong.make(kernel);
          const auto checks = judged(kernel, problem, said);
          INFO(wrong.name << ": " << in_words(logits) << " logits, " << in_words(values)
                          << " values, " << to_string(type));
          for (const BudgetCheck& check : checks) {
            UNSCOPED_INFO(check.name << " " << check.error << " of " << check.tolerance);
          }
          CHECK(std::any_of(checks.begin(), checks.end(),
                            [](const BudgetCheck& check) { return !check.pass(); }));
          ++failed;
        }
      }
    }
  }
  WARN(failed << " wrong kernels");
}

TEST_CASE("one lost key of 34,816 is seen, in out and in lse", "[.long]") {
  const RoundingProblem problem = make_problem(300, Logits::kNormal, Values::kNormal,
                                               {64, 4, 34816, 128}, ValueType::kBfloat16);
  RoundingKernel kernel;
  kernel.p_type = kernel.out_type = ValueType::kBfloat16;
  kernel.lost_begin = 20'000;
  kernel.lost_count = 1;
  bool seen_in_out = false;
  for (const BudgetCheck& check :
       judged(kernel, problem, {ValueType::kBfloat16, ValueType::kBfloat16})) {
    WARN(check.name << ": " << budget_share(check.error, check.tolerance));
    if (check.name == kLse) {
      CHECK_FALSE(check.pass());
    } else {
      seen_in_out |= !check.pass();  // by all rows; 256 rows are few for the worst of them
    }
  }
  CHECK(seen_in_out);
}

TEST_CASE("a row that cancels neither loosens the other rows nor fails itself", "[verify]") {
  // Two values that cancel, in row 0 exactly; the same keys and values for all rows.
  const ProblemSize size{64, 4, 2, 64};
  for (const ValueType type : kTypes) {
    RoundingProblem problem = make_problem(7, Logits::kNormal, Values::kAlternating, size, type);
    const auto tolerances_of = [&] {
      return attention_tolerances(
          measured_attention(problem.setup(), count_up(64), count_up(4), type), {type, type});
    };
    const Tolerances before = tolerances_of();
    for (Index h = 0; h < 4; ++h) {
      std::fill_n(problem.query.view().at(0, h), 64, 0);  // both keys weigh the same
    }
    const Tolerances after = tolerances_of();
    CHECK(after.out.bottomRows(63) == before.out.bottomRows(63));
    CHECK(after.lse.bottomRows(63) == before.lse.bottomRows(63));
    RoundingKernel kernel;
    kernel.p_type = kernel.out_type = type;
    for (const BudgetCheck& check : judged(kernel, problem, {type, type})) CHECK(check.pass());
    // One element of row 0 is off, alone among 256 rows.
    AttentionRows result = run_kernel(kernel, problem);
    result.out.view().at(0, 2)[5] += 0.5;
    const auto measured = measured_attention(problem.setup(), count_up(64), count_up(4), type);
    const auto checks = check_attention(result.out, {}, measured.truth, after, type);
    CHECK_FALSE(checks.at(0).pass());
    CHECK(checks.at(0).worst.row == 0);
    CHECK(checks.at(0).worst.head == 2);
  }
}

}  // namespace
}  // namespace apb
