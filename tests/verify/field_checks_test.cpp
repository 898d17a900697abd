// The field's checks by hand, each at its border; and that they pass what lost a tile of keys.

#include "reference/verify/field_checks.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/special_values.hpp"
#include "tests/verify/verify_case.hpp"
#include "tests/verify/wrong_kernels.hpp"

namespace apb {
namespace {

HeadsTensor<double> tensor_of(const std::vector<double>& values) {
  HeadsTensor<double> tensor(std::ssize(values), 1, 1);
  tensor.values() = values;
  return tensor;
}

/// Verdicts of allclose, flashinfer-bench, 99 % and cosine, in this order.
std::string verdicts(const std::vector<double>& out, const std::vector<double>& truth,
                     ValueType type = ValueType::kFloat64) {
  std::string letters;
  for (const FieldCheck& check : field_checks(tensor_of(out), tensor_of(truth), type)) {
    letters += check.pass ? 'p' : 'F';
  }
  return letters;
}

TEST_CASE("the field's checks, each at its border", "[verify]") {
  CHECK(verdicts({1, 2}, {1, 2}) == "pppp");
  // 0.0199 of 1 is within 0.01 + 0.01; both its absolute and its relative error are over 0.01.
  CHECK(verdicts({1.0199, 2}, {1, 2}) == "pFFp");
  CHECK(verdicts({1.0201, 2}, {1, 2}) == "FFFp");
  // A large relative error of a small number, and a large absolute one of a large number.
  CHECK(verdicts({0.0099, 2}, {0, 2}) == "pppp");
  CHECK(verdicts({100.9, 2}, {100, 2}) == "pppp");
  CHECK(verdicts({0.5, -0.5}, {0.5, 0.5}) == "FFFF");
  CHECK(verdicts({kNan, 2}, {1, 2}) == "FFFF");
  CHECK(verdicts({kInf, 2}, {1, 2}) == "FFFF");
  // One of a hundred may be anything.
  std::vector<double> truth(100, 1);
  std::vector<double> out = truth;
  out[3] = 1.5;
  CHECK(verdicts(out, truth) == "FFpp");
  out[4] = 1.5;
  CHECK(verdicts(out, truth) == "FFFp");
  // A cosine is blind to size.
  CHECK(verdicts({2, 4}, {1, 2}) == "FFFp");
  CHECK(verdicts({0.001, 0}, {0, 0.001}) == "pppF");
  CHECK(verdicts({0, 0}, {0.001, 0.002}) == "pppF");
  // The reference is rounded to the case's precision first: 1.01 is 1.0078125 in bfloat16.
  CHECK(verdicts({1.0283, 2}, {1.01, 2}) == "pFFp");
  CHECK(verdicts({1.0283, 2}, {1.01, 2}, ValueType::kBfloat16) == "FFFp");
  CHECK(verdicts({}, {}) == "pppp");
}

TEST_CASE("a tile of 64 keys lost of 4,000 passes most of the field's checks, and not ours",
          "[verify]") {
  const CaseShape shape{1, {4000}, 0, 0, 0, 1, 1, 16, 1};
  const CaseFile case_file = make_case(70, shape, ValueType::kBfloat16);
  Kernel kernel;
  kernel.compute_type = kernel.out_type = ValueType::kBfloat16;
  kernel.visible = [](Segment q, Index i, Segment k, Index j) {
    return is_visible(q, i, k, j) && (j < 64 || j >= 128);
  };
  CandidateRank wrong = run_kernel(kernel, case_file, case_file.ranks[0]);
  // The last 300 rows see thousands of keys: so small are errors there.
  std::vector<Index> rows;
  for (Index row = 3700; row < 4000; ++row) rows.push_back(row);
  HeadsTensor<double> out(0, 1, 16);
  out.append(std::as_const(*wrong.out).view().slice(3700, 300));
  wrong.out = out;
  wrong.lse.reset();
  wrong.row_index = rows;
  const Judgement judgement =
      judge(case_file, {kernel.compute_type, kernel.out_type, {wrong}, {}}, {});
  CHECK(!judgement.pass());
  REQUIRE(judgement.field_checks.size() == 1);
  for (const FieldCheck& check : judgement.field_checks[0].checks) {
    CAPTURE(check.name, check.figure);
    if (check.name != "cosine >= 0.99") CHECK(check.pass);
  }
  REQUIRE(judgement.diagnoses.size() == 1);
  CHECK(judgement.diagnoses[0].diagnosis.text().find(
            "one tile of keys is lost of 64: keys 64-127 of the block") != std::string::npos);
}

}  // namespace
}  // namespace apb
