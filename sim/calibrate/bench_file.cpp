#include <nlohmann/json.hpp>

#include "reference/cli/whole_file.hpp"
#include "sim/calibrate/measurements.hpp"
#include "sim/json_node.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

Seconds time_of(const JsonNode& row) {
  return Seconds(row["us"].number(Allowed::kPositive) * kMicroseconds.factor);
}

void read_attention_row(const JsonNode& row, Measurements& into) {
  row.expect_keys(
      {"backend", "mask", "q_len", "kv_len", "num_q_heads", "num_kv_heads", "head_dim", "us"},
      {"fused_segments"});
  const auto mask = static_cast<MaskKind>(row["mask"].one_of(kMaskNames));
  const Index q_len = row["q_len"].count();
  const Index kv_len = row["kv_len"].count();
  const Index heads = row["num_q_heads"].count();
  const Index head_dim = row["head_dim"].count();
  if (heads % row["num_kv_heads"].count() != 0) {
    row["num_kv_heads"].refuse("a divisor of num_q_heads");
  }
  if (mask == MaskKind::kCausal && q_len > kv_len) {
    row["q_len"].refuse("at most kv_len under a causal mask");
  }
  AttentionTable& table = into.attention_of(row["backend"].text(), head_dim);
  if (row.has("fused_segments")) table.fused_segments = row["fused_segments"].flag();
  table.points.push_back(attention_point(mask, q_len, kv_len, heads, head_dim, time_of(row)));
}

void read_collective_row(const JsonNode& row, Measurements& into) {
  row.expect_keys({"kind", "num_ranks", "num_nodes", "bytes", "us"});
  const Index ranks = row["num_ranks"].count();
  const Index nodes = row["num_nodes"].count();
  if (ranks < 2) row["num_ranks"].refuse("at least 2");
  if (ranks % nodes != 0) row["num_nodes"].refuse("a divisor of num_ranks");
  into.collective_of(static_cast<CollectiveKind>(row["kind"].one_of(kCollectiveNames)), ranks,
                     nodes)
      .points.push_back({Bytes(row["bytes"].count()), time_of(row)});
}

}  // namespace

void read_bench_json(const std::string& path, Measurements& into) {
  const nlohmann::json whole = parse_json_object(path, read_whole_file(path));
  const JsonNode root(path, "", whole);
  // Whole layers and prefills are there to be predicted, not to be learnt from; exchanges hold the
  // collectives' other ways (windows, graphs), which no profile knows.
  root.expect_keys({"schema", "version", "machine", "gemm", "attention", "collectives"},
                   {"layers", "prefills", "exchanges"});
  root.expect_schema("apb-bench");
  for (const JsonNode& row : root["gemm"].elements()) {
    row.expect_keys({"m", "n", "k", "us"});
    into.gemm.push_back(
        gemm_point(row["m"].count(), row["n"].count(), row["k"].count(), time_of(row)));
  }
  for (const JsonNode& row : root["attention"].elements()) read_attention_row(row, into);
  for (const JsonNode& row : root["collectives"].elements()) read_collective_row(row, into);
}

}  // namespace apb::sim
