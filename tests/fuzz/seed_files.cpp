#include "tests/fuzz/seed_files.hpp"

#include <hdf5.h>

#include <fstream>

#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/core/case/sample_case.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

std::string read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

herr_t add_attribute(hid_t /*object*/, const char* name, const H5A_info_t* /*unused*/, void* list) {
  auto& attributes = *static_cast<std::vector<std::string>*>(list);
  attributes.emplace_back(name);
  return 0;
}

/// Called for every object of a file by H5Ovisit: lists its link and its attributes.
herr_t add_object(hid_t file, const char* name, const H5O_info_t* info, void* seed_file) {
  auto& seed = *static_cast<SeedFile*>(seed_file);
  const bool root = std::string_view(name) == ".";
  const std::string path = root ? "" : std::string("/") + name;
  if (!root) seed.links.push_back(path);
  if (info->type == H5O_TYPE_DATASET) seed.datasets.push_back(path);
  const Hdf5Id object(H5Oopen(file, name, H5P_DEFAULT), H5Oclose);
  std::vector<std::string> names;
  H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add_attribute, &names);
  for (const std::string& attribute : names) seed.attributes.push_back(path + "/" + attribute);
  return 0;
}

SeedFile from_file(const std::string& name, const std::string& path) {
  SeedFile seed;
  seed.name = name;
  seed.bytes = read_bytes(path);
  const Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  H5Ovisit(file.get(), H5_INDEX_NAME, H5_ITER_INC, add_object, &seed);
  return seed;
}

SeedFile seed_of(const std::string& name, const CaseFile& case_file) {
  const TemporaryFolder folder;
  write_case(folder.file("seed.h5"), case_file);
  return from_file(name, folder.file("seed.h5"));
}

SeedFile seed_of(const std::string& name, const CandidateFile& candidate, const CaseFile& answers) {
  const TemporaryFolder folder;
  write_candidate(folder.file("seed.h5"), candidate);
  SeedFile seed = from_file(name, folder.file("seed.h5"));
  seed.answers = answers;
  return seed;
}

/// Few and small ranks: most of an input's time goes to opening datasets.
ApbConfig two_ranks() {
  ApbConfig config;
  config.doc_len = 7;
  config.num_ranks = 2;
  config.block_lens = {4, 3};
  config.query_len = 2;
  config.embedded_query_len = 1;
  config.anchor_len = 1;
  config.compressor = Compressor::kRandom;
  config.num_kept = 2;
  return config;
}

CaseFile with_truth() {
  CaseFile case_file = sample_case(two_ranks(), ValueType::kBfloat16);
  add_optional_parts(case_file);
  return case_file;
}

CaseFile with_scored_inputs() {
  CaseFile case_file = with_truth();
  case_file.decode.reset();
  case_file.ranks[1].out.reset();
  case_file.ranks[1].lse.reset();
  return case_file;
}

CaseFile with_query_pass() {
  ApbConfig config = two_ranks();
  config.num_ranks = 1;
  config.block_lens = {7};
  CaseFile case_file = sample_case(config, ValueType::kFloat32);
  add_optional_parts(case_file);
  case_file.ranks[0].score_query.reset();
  case_file.ranks[0].retaining.reset();
  return case_file;
}

CaseFile one_rank_alone() {
  ApbConfig config = two_ranks();
  config.anchor_convention = AnchorConvention::kOfficial;
  config.embedded_query_len = 1;
  config.anchor_len = 2;
  config.query_insert_at = 1;
  CaseFile case_file = sample_case(config, ValueType::kFloat64);
  case_file.ranks.erase(case_file.ranks.begin());
  return case_file;
}

CaseFile star() {
  ApbConfig config = two_ranks();
  config.compressor = Compressor::kNone;
  config.num_kept = 0;
  CaseFile case_file = sample_case(config, ValueType::kFloat16);
  case_file.method = "star";
  return case_file;
}

CaseFile empty_document() {
  ApbConfig config;
  CaseFile case_file = sample_case(config, ValueType::kFloat32);
  case_file.method = "full";
  return case_file;
}

CandidateFile some_rows(const CaseFile& case_file) {
  CandidateFile candidate;
  CandidateRank& rank = candidate.ranks.emplace_back();
  rank.rank = 1;
  rank.row_index = {4, 0, 2};
  rank.out = case_file.ranks[1].out;
  rank.out->resize_rows(3);
  rank.lse = case_file.ranks[1].lse->topRows(3).eval();
  return candidate;
}

std::vector<SeedFile> make_seed_files() {
  const CaseFile answered = with_truth();
  std::vector<SeedFile> seeds;
  seeds.push_back(seed_of("scored_inputs", with_scored_inputs()));
  seeds.push_back(seed_of("query_pass", with_query_pass()));
  seeds.push_back(seed_of("one_rank_alone", one_rank_alone()));
  seeds.push_back(seed_of("star", star()));
  seeds.push_back(seed_of("empty_document", empty_document()));
  seeds.push_back(seed_of("whole_candidate", right_candidate(answered), answered));
  seeds.push_back(seed_of("some_rows", some_rows(answered), answered));
  return seeds;
}

}  // namespace

const std::vector<SeedFile>& seed_files() {
  static const std::vector<SeedFile> seeds = make_seed_files();
  return seeds;
}

}  // namespace apb
