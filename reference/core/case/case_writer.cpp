// Writes case files (docs/case-files.md), one function a group.

#include <array>

#include "reference/core/case/case_file.hpp"
#include "reference/core/case/case_tensors.hpp"
#include "reference/core/case/config_attributes.hpp"

namespace apb {
namespace {

/// Truth is kept in double, whatever precision the inputs have.
constexpr ValueType kTruth = ValueType::kFloat64;

void write_attributes(Hdf5Writer& file, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  file.set_attribute("/", "schema", std::string_view("apb-case"));
  file.set_attribute("/", "version", std::int64_t{1});
  file.set_attribute("/", "method", std::string_view(case_file.method));
  file.set_attribute("/", "value_dtype", to_string(case_file.value_type));
  set_config_attributes(file, config);
  file.set_attribute("/", "seed", static_cast<std::int64_t>(config.seed));
  file.set_attribute("/", "head_dim", config.head_dim);
  file.set_attribute("/", "softmax_scale", config.softmax_scale);
  file.set_attribute("/", "block_lens", std::span<const Index>(config.resolved_block_lens()));
  std::vector<std::int64_t> ranks;
  for (const CaseRank& rank : case_file.ranks) ranks.push_back(rank.rank);
  file.set_attribute("/", "ranks", std::span<const std::int64_t>(ranks));
}

void write_layout(Hdf5Writer& file, const std::string& group, const RankLayout& layout) {
  file.set_attribute(group, "anchor_rows", layout.anchor_rows);
  file.set_attribute(group, "passing_rows", layout.passing_rows);
  file.set_attribute(group, "block_rows", layout.block_len);
  std::vector<Index> doc_pos;
  std::vector<Index> position;
  for (Index row = 0; row < layout.rows(); ++row) {
    doc_pos.push_back(layout.doc_pos(row));
    position.push_back(layout.position(row));
  }
  const std::array<Index, 1> shape{layout.rows()};
  file.write<Index>(group + "/doc_pos", shape, doc_pos);
  file.write<Index>(group + "/position", shape, position);
}

void write_optional_parts(Hdf5Writer& file, const std::string& group, ValueType type,
                          const CaseRank& rank) {
  if (rank.score_query) write_heads(file, group + "/score_query", type, *rank.score_query);
  if (rank.retaining) {
    write_matrix(file, group + "/retaining_input", type, rank.retaining->input);
    write_matrix(file, group + "/retaining_fc1", type, rank.retaining->fc1);
    if (rank.retaining->fc2.size() > 0) {
      write_matrix(file, group + "/retaining_fc2", type, rank.retaining->fc2);
    }
  }
  if (rank.out) write_heads(file, group + "/out", kTruth, *rank.out);
  if (rank.lse) write_matrix(file, group + "/lse", kTruth, *rank.lse);
}

void write_rank(Hdf5Writer& file, ValueType type, const CaseRank& rank) {
  const std::string group = rank_group(rank.rank);
  file.create_group(group);
  write_layout(file, group, rank.layout);
  write_heads(file, group + "/query", type, rank.query);
  write_heads(file, group + "/key", type, rank.key);
  write_heads(file, group + "/value", type, rank.value);
  write_heads(file, group + "/passing_key", type, rank.passing_key);
  write_heads(file, group + "/passing_value", type, rank.passing_value);
  write_positions(file, group + "/passing_doc_pos", rank.passing_doc_pos);
  if (rank.importance.cols() > 0) write_matrix(file, group + "/importance", type, rank.importance);
  write_positions(file, group + "/kept_positions", rank.kept_positions);
  write_optional_parts(file, group, type, rank);
}

void write_decode(Hdf5Writer& file, ValueType type, const DecodeCase& decode) {
  file.create_group("/decode");
  write_heads(file, "/decode/query", type, decode.query);
  for (std::size_t rank = 0; rank < decode.ranks.size(); ++rank) {
    const DecodeRank& part = decode.ranks[rank];
    const std::string group = "/decode" + rank_group(static_cast<int>(rank));
    file.create_group(group);
    file.set_attribute(group, "query_keys", part.query_keys);
    write_heads(file, group + "/key", type, part.key);
    write_heads(file, group + "/value", type, part.value);
    write_heads(file, group + "/out", kTruth, part.out);
    write_matrix(file, group + "/lse", kTruth, part.lse);
  }
  write_heads(file, "/decode/out", kTruth, decode.out);
  write_matrix(file, "/decode/lse", kTruth, decode.lse);
}

}  // namespace

void write_case(const std::string& path, const CaseFile& case_file) {
  Hdf5Writer file(path);
  write_attributes(file, case_file);
  for (const CaseRank& rank : case_file.ranks) write_rank(file, case_file.value_type, rank);
  if (case_file.decode) write_decode(file, case_file.value_type, *case_file.decode);
  file.commit();
}

}  // namespace apb
