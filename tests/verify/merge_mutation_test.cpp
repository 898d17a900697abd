// Wrong merges of partial attention: each is named, and no neighbour by its name.

#include "tests/support/catch.hpp"
#include "tests/verify/diagnosis_cases.hpp"
#include "tests/verify/wrong_kernels.hpp"
#include "tests/verify/wrong_merges.hpp"

namespace apb {
namespace {

TEST_CASE("the merge that the wrong ones are made from is right", "[verify]") {
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    const CaseFile case_file = case_to_merge(40, type);
    CHECK(judge(case_file, merged_by(merge_rightly, case_file, type), {}).pass());
  }
}

TEST_CASE("wrong merges are rejected and named", "[verify]") {
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16}) {
    for (const std::uint64_t seed : {41U, 42U, 43U}) {
      const CaseFile case_file = case_to_merge(seed, type);
      for (const MergeMutation& mutation : wrong_merges()) {
        CAPTURE(to_string(type), seed, mutation.wanted);
        const CandidateFile candidate = merged_by(mutation.merge, case_file, type);
        const std::string found = diagnosis_text(case_file, candidate);
        CAPTURE(found);
        CHECK(found.find("\n  " + mutation.wanted) != std::string::npos);
      }
    }
  }
}

TEST_CASE("no neighbour of a wrong merge goes by its name", "[verify]") {
  const CaseFile case_file = case_to_merge(44, ValueType::kFloat32);
  for (const MergeMutation& neighbour : merge_neighbours()) {
    CAPTURE(neighbour.wanted);
    const std::string found =
        diagnosis_text(case_file, merged_by(neighbour.merge, case_file, ValueType::kFloat32));
    CAPTURE(found);
    CHECK(found.find(neighbour.wanted) == std::string::npos);
  }
}

TEST_CASE("in a prefill too, an empty passing block that counts with lse 0 is named", "[verify]") {
  for (const NamedShape& one : shapes()) {
    const ValueType type = ValueType::kBfloat16;
    const CaseFile case_file = make_case(45, one.shape, type);
    const CaseRank& rank = case_file.ranks.front();  // receives nothing
    Kernel kernel;
    kernel.compute_type = kernel.out_type = type;
    CandidateRank wrong = run_kernel(kernel, case_file, rank);
    for (Index row = 0; row < wrong.lse->rows(); ++row) {
      for (Index head = 0; head < wrong.lse->cols(); ++head) {
        double& lse = (*wrong.lse)(row, head);
        double* out = wrong.out->view().at(row, head);
        for (Index d = 0; d < one.shape.head_dim; ++d) out[d] /= 1 + std::exp(-lse);
        lse = std::log(std::exp(lse) + 1);
      }
    }
    CAPTURE(one.name);
    const std::string found = diagnosis_text(case_file, {type, type, {wrong}, {}});
    CAPTURE(found);
    CHECK(found.find("\n  an empty part of the merge counts with lse 0: the passing block") !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace apb
