// Reads case files and checks all of them: sizes before room is made for them, layout against the
// configuration, every input against the precision it claims.

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "reference/core/case/case_file.hpp"
#include "reference/core/case/case_passing.hpp"
#include "reference/core/case/case_tensors.hpp"
#include "reference/core/error.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb {
namespace {

constexpr std::int64_t kCaseVersion = 1;

/// Does `work`, whose errors about the configuration name the file instead.
template <class Work>
auto naming_file(const Hdf5Reader& file, const Work& work) {
  constexpr std::string_view kConfig = "config: ";
  try {
    return work();
  } catch (const BadInput& error) {
    const std::string_view line = error.what();
    if (!line.starts_with(kConfig)) throw;
    throw BadInput(fmt::format("{}: {}", file.path(), line.substr(kConfig.size())));
  }
}

void require_case_schema(const Hdf5Reader& file) {
  const std::string schema = file.string_attribute("schema");
  if (schema != "apb-case") throw BadInput(file.path(), "schema", schema, "apb-case");
  const std::int64_t version = file.int_attribute("version");
  if (version != kCaseVersion) throw BadInput(file.path(), "version", version, "1");
}

/// An attribute that becomes an int or unsigned number later.
std::int64_t attribute_between(const Hdf5Reader& file, const char* name, std::int64_t low,
                               std::int64_t high) {
  const std::int64_t value = file.int_attribute(name);
  if (value < low || value > high) {
    throw BadInput(file.path(), name, value, fmt::format("between {} and {}", low, high));
  }
  return value;
}

ApbConfig read_config(const Hdf5Reader& file) {
  ApbConfig config;
  config.doc_len = file.int_attribute("doc_len");
  config.num_ranks =
      static_cast<int>(attribute_between(file, "num_ranks", 1, std::numeric_limits<int>::max()));
  config.block_lens = file.int_list_attribute("block_lens");
  config.query_len = file.int_attribute("query_len");
  config.embedded_query_len = file.int_attribute("embedded_query_len");
  config.anchor_len = file.int_attribute("anchor_len");
  config.anchor_convention = parse_anchor_convention(file.string_attribute("anchor_convention"));
  // Only convention official has a choice.
  if (file.has_attribute("query_insert_at")) {
    config.query_insert_at = file.int_attribute("query_insert_at");
  }
  config.compressor = parse_compressor(file.string_attribute("compressor"));
  config.num_kept = file.int_attribute("num_kept");
  config.pool_kernel = file.int_attribute("pool_kernel");
  config.seed = static_cast<std::uint64_t>(
      attribute_between(file, "seed", 0, std::numeric_limits<std::int64_t>::max()));
  config.num_q_heads = file.int_attribute("num_q_heads");
  config.num_kv_heads = file.int_attribute("num_kv_heads");
  config.head_dim = file.int_attribute("head_dim");
  config.softmax_scale = file.double_attribute("softmax_scale");
  if (config.block_lens.empty()) {
    throw BadInput(file.path(), "block_lens", "0 lengths", "one length per rank");
  }
  config.validate();
  return config;
}

/// What a method does not use is switched off in its configuration.
void require_method(const Hdf5Reader& file, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  const auto entry = std::ranges::find(kMethodList, case_file.method, &MethodEntry::name);
  if (entry == kMethodList.end() || !entry->block_form) {
    throw BadInput(file.path(), "method", case_file.method, "one of " + block_method_names());
  }
  if (!entry->selects && config.compressor != Compressor::kNone) {
    throw BadInput(file.path(), "compressor", to_string(config.compressor),
                   "none with method " + case_file.method);
  }
  const bool whole = config.block_lens.front() == config.doc_len && config.anchor_len == 0 &&
                     config.embedded_query_len == 0;
  if (case_file.method == "full" && !whole) {
    throw BadInput(
        fmt::format("{}: method = full: must have the whole document on rank 0, "
                    "anchor_len 0 and embedded_query_len 0",
                    file.path()));
  }
}

std::vector<int> read_ranks(const Hdf5Reader& file, int num_ranks) {
  const std::vector<std::int64_t> listed = file.int_list_attribute("ranks");
  std::int64_t smallest = 0;
  for (const std::int64_t rank : listed) {
    if (rank < smallest || rank >= num_ranks) {
      throw BadInput(file.path(), "ranks", fmt::format("[{}]", fmt::join(listed, ", ")),
                     fmt::format("ascending, each once, between 0 and {}", num_ranks - 1));
    }
    smallest = rank + 1;
  }
  if (listed.empty()) throw BadInput(file.path(), "ranks", "[]", "at least one rank");
  return {listed.begin(), listed.end()};
}

void require_layout(const Hdf5Reader& file, const std::string& group, const RankLayout& layout) {
  if (!file.has(group)) throw BadInput(fmt::format("{}: group {} is missing", file.path(), group));
  for (const auto& [name, rows] :
       std::array<std::pair<const char*, Index>, 3>{{{"/anchor_rows", layout.anchor_rows},
                                                     {"/passing_rows", layout.passing_rows},
                                                     {"/block_rows", layout.block_len}}}) {
    const std::int64_t found = file.int_attribute(group + name);
    if (found != rows) {
      throw BadInput(file.path(), group + name, found,
                     fmt::format("{}, which follows from the file's lengths", rows));
    }
  }
  const std::vector<Index> doc_pos = read_indices(file, group + "/doc_pos", layout.rows());
  const std::vector<Index> position = read_indices(file, group + "/position", layout.rows());
  const auto require = [&](const char* name, Index row, Index found, Index expected) {
    if (found == expected) return;
    throw BadInput(file.path(), fmt::format("{}/{}[{}]", group, name, row), found,
                   fmt::format("{}, which follows from the file's lengths", expected));
  };
  for (Index row = 0; row < layout.rows(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    require("doc_pos", row, doc_pos[at], layout.doc_pos(row));
    require("position", row, position[at], layout.position(row));
  }
}

/// Reads one rank's tensors by name and requires inputs to have the case's precision.
class RankReader {
 public:
  RankReader(const Hdf5Reader& file, std::string group, const CaseFile& case_file)
      : file_(file),
        group_(std::move(group)),
        config_(case_file.config),
        type_(case_file.value_type) {}

  [[nodiscard]] HeadsTensor<double> heads(const char* name, Index rows, Index num_heads) const {
    auto tensor = read_heads(file_, group_ + name, rows, num_heads, config_.head_dim);
    require_representable(file_, group_ + name, type_, tensor);
    return tensor;
  }
  [[nodiscard]] Matrix<double> matrix(const char* name, Index rows, Index columns) const {
    auto values = read_matrix(file_, group_ + name, rows, columns);
    require_representable(file_, group_ + name, type_, values);
    return values;
  }
  [[nodiscard]] bool has(const char* name) const { return file_.has(group_ + name); }

  void selection(CaseRank& rank) const;
  void optional_parts(CaseRank& rank) const;

 private:
  const Hdf5Reader& file_;
  std::string group_;
  const ApbConfig& config_;
  ValueType type_;
};

void RankReader::selection(CaseRank& rank) const {
  const RankLayout& layout = rank.layout;
  if (layout.num_kept > 0 || has("/importance")) {
    rank.importance = matrix("/importance", layout.block_len, config_.num_kv_heads);
    const Index excluded = layout.candidate_begin - layout.block_begin;
    for (Index element = 0; element < excluded * config_.num_kv_heads; ++element) {
      const double found = rank.importance.data()[element];
      if (found == -std::numeric_limits<double>::infinity()) continue;
      const std::array<Index, 2> shape{rank.importance.rows(), rank.importance.cols()};
      throw BadInput(file_.path(), group_ + "/importance" + element_name(shape, element), found,
                     "-inf: an anchor holds this token");
    }
  }
  if (layout.num_kept == 0 && !has("/kept_positions")) {
    rank.kept_positions.resize(static_cast<std::size_t>(config_.num_kv_heads));
    return;
  }
  rank.kept_positions =
      read_positions(file_, group_ + "/kept_positions", config_.num_kv_heads, layout.num_kept);
  for (std::size_t head = 0; head < rank.kept_positions.size(); ++head) {
    require_ascending(file_, fmt::format("{}/kept_positions[{}]", group_, head),
                      rank.kept_positions[head], layout.candidate_begin, layout.block_end());
  }
}

void RankReader::optional_parts(CaseRank& rank) const {
  if (has("/score_query")) {
    rank.score_query = heads("/score_query", config_.embedded_query_len, config_.num_q_heads);
  }
  if (has("/retaining_fc1")) {
    const Index width = (config_.num_q_heads + 2 * config_.num_kv_heads) * config_.head_dim;
    const std::vector<Index> shape = file_.shape(group_ + "/retaining_fc1");
    const Index hidden = shape.empty() ? 0 : shape.front();
    rank.retaining =
        RetainingCase{matrix("/retaining_input", rank.layout.block_len, width), {}, {}};
    if (has("/retaining_fc2")) {
      rank.retaining->fc1 = matrix("/retaining_fc1", hidden, width);
      rank.retaining->fc2 = matrix("/retaining_fc2", config_.num_kv_heads, hidden);
    } else {
      rank.retaining->fc1 = matrix("/retaining_fc1", config_.num_kv_heads, width);
    }
  }
  const Index rows = rank.layout.rows();
  if (has("/out")) {
    rank.out = read_heads(file_, group_ + "/out", rows, config_.num_q_heads, config_.head_dim);
  }
  if (has("/lse")) rank.lse = read_matrix(file_, group_ + "/lse", rows, config_.num_q_heads);
}

CaseRank read_rank(const Hdf5Reader& file, const BlockLayout& layout, int number,
                   const CaseFile& case_file) {
  CaseRank rank;
  rank.rank = number;
  rank.layout = layout.ranks[static_cast<std::size_t>(number)];
  const std::string group = rank_group(number);
  require_layout(file, group, rank.layout);
  const RankReader reader(file, group, case_file);
  const Index rows = rank.layout.rows();
  rank.query = reader.heads("/query", rows, case_file.config.num_q_heads);
  rank.key = reader.heads("/key", rows, case_file.config.num_kv_heads);
  rank.value = reader.heads("/value", rows, case_file.config.num_kv_heads);
  reader.selection(rank);
  reader.optional_parts(rank);
  return rank;
}

DecodeRank read_decode_rank(const Hdf5Reader& file, int number, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  const std::string group = "/decode" + rank_group(number);
  const RankReader reader(file, group, case_file);
  DecodeRank part;
  const std::vector<Index> shape = file.shape(group + "/key");
  const Index cached = shape.empty() ? 0 : shape.front();
  part.key = reader.heads("/key", cached, config.num_kv_heads);
  part.value = reader.heads("/value", cached, config.num_kv_heads);
  part.query_keys = file.int_attribute(group + "/query_keys");
  const bool none = part.query_keys == 0;
  if (!none && (part.query_keys != config.query_len || part.query_keys > cached)) {
    throw BadInput(file.path(), group + "/query_keys", part.query_keys,
                   fmt::format("0 or query_len ({}), and at most the {} cached rows",
                               config.query_len, cached));
  }
  part.out =
      read_heads(file, group + "/out", config.query_len, config.num_q_heads, config.head_dim);
  part.lse = read_matrix(file, group + "/lse", config.query_len, config.num_q_heads);
  return part;
}

DecodeCase read_decode(const Hdf5Reader& file, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  const RankReader reader(file, "/decode", case_file);
  DecodeCase decode;
  decode.query = reader.heads("/query", config.query_len, config.num_q_heads);
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    decode.ranks.push_back(read_decode_rank(file, rank, case_file));
  }
  decode.out =
      read_heads(file, "/decode/out", config.query_len, config.num_q_heads, config.head_dim);
  decode.lse = read_matrix(file, "/decode/lse", config.query_len, config.num_q_heads);
  return decode;
}

}  // namespace

CaseFile read_case(const std::string& path) {
  const Hdf5Reader file(path);
  require_case_schema(file);
  CaseFile case_file;
  case_file.method = file.string_attribute("method");
  case_file.config = naming_file(file, [&] { return read_config(file); });
  require_method(file, case_file);
  case_file.value_type = read_value_type(file, "value_dtype");
  const BlockLayout layout = make_block_layout(case_file.config);
  for (const int rank : read_ranks(file, case_file.config.num_ranks)) {
    case_file.ranks.push_back(read_rank(file, layout, rank, case_file));
  }
  complete_passing(file, layout, case_file);
  if (file.has("/decode")) case_file.decode = read_decode(file, case_file);
  return case_file;
}

}  // namespace apb
