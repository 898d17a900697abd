// Candidate files: what a kernel computed for a case, any subset of it.

#include <algorithm>
#include <array>

#include "reference/core/case/candidate_file.hpp"
#include "reference/core/case/case_file.hpp"
#include "reference/core/case/case_tensors.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

/// What was computed is kept as it came.
constexpr ValueType kAsComputed = ValueType::kFloat64;

constexpr std::int64_t kCandidateVersion = 1;

/// A candidate need not say what it is, but must not say that it is something else.
void require_candidate_schema(const Hdf5Reader& file) {
  if (file.has_attribute("schema")) {
    const std::string schema = file.string_attribute("schema");
    if (schema != "apb-candidate") {
      throw BadInput(file.path(), "schema", schema,
                     schema == "apb-case" ? "apb-candidate, or absent (a case is no candidate, "
                                            "whatever it holds)"
                                          : "apb-candidate, or absent");
    }
  }
  if (!file.has_attribute("version")) return;
  const std::int64_t version = file.int_attribute("version");
  if (version != kCandidateVersion) throw BadInput(file.path(), "version", version, "1, or absent");
}

/// \throws BadInput if a row is not the rank's, or is given twice
std::vector<Index> read_row_index(const Hdf5Reader& file, const std::string& name, Index rows) {
  const std::vector<Index> shape = file.shape(name);
  std::vector<Index> row_index = read_indices(file, name, shape.empty() ? 0 : shape.front());
  std::vector<bool> given(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < row_index.size(); ++i) {
    const Index row = row_index[i];
    const bool known = row >= 0 && row < rows;
    if (!known || given[static_cast<std::size_t>(row)]) {
      throw BadInput(file.path(), fmt::format("{}[{}]", name, i), row,
                     fmt::format("a row from 0 to {}, each at most once", rows - 1));
    }
    given[static_cast<std::size_t>(row)] = true;
  }
  if (row_index.empty() && rows > 0) {
    throw BadInput(file.path(), name, "[]", "at least one row, or absent (all rows are given)");
  }
  return row_index;
}

/// \throws BadInput if it is no accuracy of an exponential
double read_exp_accuracy(const Hdf5Reader& file) {
  const double accuracy = file.double_attribute("exp_accuracy");
  if (!(accuracy > 0 && accuracy <= kWorstExpAccuracy)) {
    throw BadInput(file.path(), "exp_accuracy", accuracy,
                   fmt::format("the largest relative error of the exponential, above 0 and at "
                               "most {} (absent: 2^-22)",
                               kWorstExpAccuracy));
  }
  return accuracy;
}

CandidateRank read_rank(const Hdf5Reader& file, const CaseRank& asked, const ApbConfig& config) {
  const std::string group = rank_group(asked.rank);
  CandidateRank rank;
  rank.rank = asked.rank;
  Index rows = asked.layout.rows();
  if (file.has(group + "/row_index")) {
    rank.row_index = read_row_index(file, group + "/row_index", rows);
    rows = std::ssize(*rank.row_index);
  }
  if (file.has(group + "/out")) {
    rank.out = read_heads(file, group + "/out", rows, config.num_q_heads, config.head_dim,
                          Unwritten::kFilled);
  }
  if (file.has(group + "/lse")) {
    rank.lse = read_matrix(file, group + "/lse", rows, config.num_q_heads, Unwritten::kFilled);
  }
  if (file.has(group + "/importance")) {
    rank.importance = read_matrix(file, group + "/importance", asked.layout.block_len,
                                  config.num_kv_heads, Unwritten::kFilled);
  }
  if (file.has(group + "/kept_positions")) {
    rank.kept_positions =
        read_positions(file, group + "/kept_positions", config.num_kv_heads, asked.layout.num_kept);
  }
  return rank;
}

/// A tensor without rows stands for one that is not given.
void read_partial(const Hdf5Reader& file, const std::string& group, const ApbConfig& config,
                  HeadsTensor<double>& out, Matrix<double>& lse) {
  if (file.has(group + "/out")) {
    out = read_heads(file, group + "/out", config.query_len, config.num_q_heads, config.head_dim,
                     Unwritten::kFilled);
  }
  if (file.has(group + "/lse")) {
    lse =
        read_matrix(file, group + "/lse", config.query_len, config.num_q_heads, Unwritten::kFilled);
  }
}

DecodeCase read_decode(const Hdf5Reader& file, const ApbConfig& config) {
  DecodeCase decode;
  decode.ranks.resize(static_cast<std::size_t>(config.num_ranks));
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    DecodeRank& part = decode.ranks[static_cast<std::size_t>(rank)];
    read_partial(file, "/decode" + rank_group(rank), config, part.out, part.lse);
  }
  read_partial(file, "/decode", config, decode.out, decode.lse);
  return decode;
}

void write_partial(Hdf5Writer& file, const std::string& group, const HeadsTensor<double>& out,
                   const Matrix<double>& lse) {
  if (out.rows() > 0) write_heads(file, group + "/out", kAsComputed, out);
  if (lse.rows() > 0) write_matrix(file, group + "/lse", kAsComputed, lse);
}

void write_decode(Hdf5Writer& file, const DecodeCase& decode) {
  file.create_group("/decode");
  write_partial(file, "/decode", decode.out, decode.lse);
  for (std::size_t rank = 0; rank < decode.ranks.size(); ++rank) {
    const std::string group = "/decode" + rank_group(static_cast<int>(rank));
    file.create_group(group);
    write_partial(file, group, decode.ranks[rank].out, decode.ranks[rank].lse);
  }
}

void write_rank(Hdf5Writer& file, const CandidateRank& rank) {
  const std::string group = rank_group(rank.rank);
  file.create_group(group);
  if (rank.row_index) {
    file.write<Index>(group + "/row_index", std::array{std::ssize(*rank.row_index)},
                      *rank.row_index);
  }
  if (rank.out) write_heads(file, group + "/out", kAsComputed, *rank.out);
  if (rank.lse) write_matrix(file, group + "/lse", kAsComputed, *rank.lse);
  if (rank.importance) write_matrix(file, group + "/importance", kAsComputed, *rank.importance);
  if (rank.kept_positions) write_positions(file, group + "/kept_positions", *rank.kept_positions);
}

}  // namespace

Precision CandidateFile::precision() const {
  return {p_type.value_or(compute_type), out_type, exp_accuracy.value_or(kExpAccuracy)};
}

CandidateFile read_candidate(const std::string& path, const CaseFile& case_file) {
  const Hdf5Reader file(path);
  require_candidate_schema(file);
  CandidateFile candidate;
  candidate.compute_type = read_value_type(file, "compute_dtype");
  candidate.out_type = read_value_type(file, "out_dtype");
  if (file.has_attribute("p_dtype")) candidate.p_type = read_value_type(file, "p_dtype");
  if (file.has_attribute("exp_accuracy")) candidate.exp_accuracy = read_exp_accuracy(file);
  for (const CaseRank& rank : case_file.ranks) {
    if (!file.has(rank_group(rank.rank))) continue;
    candidate.ranks.push_back(read_rank(file, rank, case_file.config));
  }
  if (case_file.decode && file.has("/decode"))
    candidate.decode = read_decode(file, case_file.config);
  return candidate;
}

void write_candidate(const std::string& path, const CandidateFile& candidate) {
  Hdf5Writer file(path);
  file.set_attribute("/", "schema", std::string_view("apb-candidate"));
  file.set_attribute("/", "version", kCandidateVersion);
  file.set_attribute("/", "compute_dtype", to_string(candidate.compute_type));
  file.set_attribute("/", "out_dtype", to_string(candidate.out_type));
  if (candidate.p_type) file.set_attribute("/", "p_dtype", to_string(*candidate.p_type));
  if (candidate.exp_accuracy) file.set_attribute("/", "exp_accuracy", *candidate.exp_accuracy);
  for (const CandidateRank& rank : candidate.ranks) write_rank(file, rank);
  if (candidate.decode) write_decode(file, *candidate.decode);
  file.commit();
}

}  // namespace apb
