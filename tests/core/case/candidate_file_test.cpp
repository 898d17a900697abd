// Candidate files: any subset is read back; shapes and rows are checked against the case.

#include <functional>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/core/case/sample_case.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

CaseFile two_ranks() {
  ApbConfig config;
  config.doc_len = 10;
  config.num_ranks = 2;
  config.query_len = 3;
  config.embedded_query_len = 1;
  config.anchor_len = 2;
  config.compressor = Compressor::kRandom;
  config.num_kept = 2;
  CaseFile case_file = sample_case(config, ValueType::kFloat32);
  add_optional_parts(case_file);
  return case_file;
}

CandidateFile read_back(const CandidateFile& candidate, const CaseFile& case_file) {
  const TemporaryFolder folder;
  write_candidate(folder.file("candidate.h5"), candidate);
  return read_candidate(folder.file("candidate.h5"), case_file);
}

std::string refusal_after(const std::function<void(CandidateFile&)>& change) {
  const CaseFile case_file = two_ranks();
  CandidateFile candidate = right_candidate(case_file);
  change(candidate);
  const TemporaryFolder folder;
  const std::string path = folder.file("candidate.h5");
  write_candidate(path, candidate);
  try {
    (void)read_candidate(path, case_file);
  } catch (const BadInput& error) {
    return std::string(error.what()).substr(path.size() + 2);
  }
  return "accepted";
}

TEST_CASE("a whole candidate is read back", "[candidate_file]") {
  const CaseFile case_file = two_ranks();
  CandidateFile candidate = right_candidate(case_file);
  candidate.compute_type = ValueType::kBfloat16;
  candidate.out_type = ValueType::kFloat16;
  const CandidateFile found = read_back(candidate, case_file);
  CHECK(found.compute_type == ValueType::kBfloat16);
  CHECK(found.out_type == ValueType::kFloat16);
  REQUIRE(found.ranks.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(found.ranks[i].rank == static_cast<int>(i));
    CHECK_FALSE(found.ranks[i].row_index);
    CHECK(bit_equal(*found.ranks[i].out, *case_file.ranks[i].out));
    CHECK(bit_equal(*found.ranks[i].lse, *case_file.ranks[i].lse));
    CHECK(bit_equal(*found.ranks[i].importance, case_file.ranks[i].importance));
    CHECK(*found.ranks[i].kept_positions == case_file.ranks[i].kept_positions);
    CHECK(bit_equal(found.decode->ranks[i].out, case_file.decode->ranks[i].out));
    CHECK(bit_equal(found.decode->ranks[i].lse, case_file.decode->ranks[i].lse));
  }
  CHECK(bit_equal(found.decode->out, case_file.decode->out));
  CHECK(bit_equal(found.decode->lse, case_file.decode->lse));
}

TEST_CASE("any subset is read back, and nothing else", "[candidate_file]") {
  const CaseFile case_file = two_ranks();
  CandidateFile candidate = right_candidate(case_file);
  candidate.ranks.erase(candidate.ranks.begin());
  candidate.ranks[0].out.reset();
  candidate.ranks[0].importance.reset();
  candidate.decode->out = {};
  candidate.decode->ranks[0].lse = {};
  const CandidateFile found = read_back(candidate, case_file);
  REQUIRE(found.ranks.size() == 1);
  CHECK(found.ranks[0].rank == 1);
  CHECK_FALSE(found.ranks[0].out);
  CHECK(found.ranks[0].lse);
  CHECK_FALSE(found.ranks[0].importance);
  CHECK(found.decode->out.rows() == 0);
  CHECK(found.decode->lse.rows() == 3);
  CHECK(found.decode->ranks[0].lse.rows() == 0);
  CHECK(found.decode->ranks[0].out.rows() == 3);
  CHECK(read_back({}, case_file).ranks.empty());
}

TEST_CASE("some rows only", "[candidate_file]") {
  const CaseFile case_file = two_ranks();
  CandidateFile candidate = right_candidate(case_file);
  candidate.ranks[1].row_index = {6, 0, 7};
  candidate.ranks[1].out->resize_rows(3);
  candidate.ranks[1].lse = candidate.ranks[1].lse->topRows(3).eval();
  const CandidateFile found = read_back(candidate, case_file);
  CHECK(*found.ranks[1].row_index == std::vector<Index>{6, 0, 7});
  CHECK(found.ranks[1].out->rows() == 3);
  CHECK(bit_equal(*found.ranks[1].lse, *candidate.ranks[1].lse));
}

TEST_CASE("shapes and rows are checked against the case", "[candidate_file]") {
  CHECK(refusal_after([](CandidateFile&) {}) == "accepted");
  CHECK(refusal_after([](CandidateFile& c) { c.ranks[1].out->resize_rows(7); }) ==
        "/rank_1/out = shape [7, 4, 3]: must be shape [8, 4, 3]");
  CHECK(refusal_after([](CandidateFile& c) { c.ranks[0].lse->resize(5, 3); }) ==
        "/rank_0/lse = shape [5, 3]: must be shape [5, 4]");
  CHECK(refusal_after([](CandidateFile& c) { c.ranks[0].importance->resize(4, 2); }) ==
        "/rank_0/importance = shape [4, 2]: must be shape [5, 2]");
  CHECK(refusal_after([](CandidateFile& c) {
          for (auto& list : *c.ranks[0].kept_positions) list.pop_back();
        }) == "/rank_0/kept_positions = shape [2, 1]: must be shape [2, 2]");
  CHECK(refusal_after([](CandidateFile& c) {
          c.ranks[1].row_index = {0, 8};
        }) == "/rank_1/row_index[1] = 8: must be a row from 0 to 7, each at most once");
  CHECK(refusal_after([](CandidateFile& c) {
          c.ranks[1].row_index = {0, 0};
        }) == "/rank_1/row_index[1] = 0: must be a row from 0 to 7, each at most once");
  CHECK(refusal_after([](CandidateFile& c) { c.ranks[1].row_index = {-1}; }) ==
        "/rank_1/row_index[0] = -1: must be a row from 0 to 7, each at most once");
  CHECK(refusal_after([](CandidateFile& c) { c.decode->out.resize_rows(2); }) ==
        "/decode/out = shape [2, 4, 3]: must be shape [3, 4, 3]");
}

TEST_CASE("a case is no candidate", "[candidate_file]") {
  const TemporaryFolder folder;
  const CaseFile case_file = two_ranks();
  write_case(folder.file("case.h5"), case_file);
  CHECK_THROWS_WITH(read_candidate(folder.file("case.h5"), case_file),
                    folder.file("case.h5") +
                        ": schema = apb-case: must be apb-candidate, or absent (a case is no "
                        "candidate, whatever it holds)");
}

TEST_CASE("schema and version may be absent, but not be others", "[candidate_file]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("candidate.h5");
  const CaseFile case_file = two_ranks();
  const auto refusal_with = [&](std::string_view schema, std::int64_t version) {
    Hdf5Writer file(path);
    file.set_attribute("/", "compute_dtype", std::string_view("float32"));
    file.set_attribute("/", "out_dtype", std::string_view("float32"));
    if (!schema.empty()) file.set_attribute("/", "schema", schema);
    if (version != 0) file.set_attribute("/", "version", version);
    file.commit();
    return refusal([&] { (void)read_candidate(path, case_file); });
  };
  CHECK(refusal_with("", 0) == "accepted");
  CHECK(refusal_with("apb-candidate", 1) == "accepted");
  CHECK(refusal_with("", 2) == path + ": version = 2: must be 1, or absent");
  CHECK(refusal_with("candidate", 1) ==
        path + ": schema = candidate: must be apb-candidate, or absent");
}

}  // namespace
}  // namespace apb
