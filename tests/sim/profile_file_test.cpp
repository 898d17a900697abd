// configs/machines: what is shipped, what is refused, and that what is written reads back.

#include "sim/machine/profile_file.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/cli/whole_file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::sim {
namespace {

TEST_CASE("machines that come with the simulator", "[machines]") {
  CHECK(known_machines() == std::vector<std::string>{"A100-80G", "A800-80G", "B200", "H100",
                                                     "H100-apb", "H100-x2", "H100-x4", "H200",
                                                     "L40S", "MI300X"});
  const MachineProfile h100 = find_machine("H100");
  CHECK(h100.name == "H100");
  CHECK(h100.peak_flop_per_s.number == 989.4e12);
  CHECK(h100.peak_flop_per_s.provenance == Provenance::kDatasheet);
  CHECK(h100.link_bytes_per_s.number == 450e9);
  CHECK(h100.collective_latency_s.number == 10.1 * 1e-6);
  CHECK(h100.attention.front().backend == "cudnn");
  CHECK_FALSE(h100.attention.front().fused_segments);
  CHECK(h100.gemm.front().provenance == Provenance::kMeasured);
  CHECK(find_machine("B200").collectives.back().num_nodes == 4);
  CHECK_THROWS_WITH(find_machine("H900"),
                    "command line: machine = H900: must be one of A100-80G, A800-80G, B200, H100, "
                    "H100-apb, H100-x2, H100-x4, H200, L40S, MI300X, or a .json file");
  CHECK_THROWS_WITH(find_machine("nowhere.json"), "nowhere.json: cannot be read");
}

TEST_CASE("a profile is written as it was read", "[machines]") {
  for (const std::string& name : known_machines()) {
    INFO(name);
    CHECK(machine_profile_json(find_machine(name)) == read_whole_file(machine_path(name)));
  }
}

TEST_CASE("any number in memory survives a file as well as its unit allows", "[machines]") {
  MachineProfile profile = find_machine("H100");
  const TemporaryFolder folder;
  const std::string path = folder.file("machine.json");
  for (const double rate : {1e12 / 3, 123.456789012345e12, 989.4e12, 2e12 * 0.1}) {
    profile.peak_flop_per_s.number = rate;
    profile.eager.gap_s.number = rate * 1e-18;
    write_whole_file(path, machine_profile_json(profile));
    const MachineProfile once = read_machine_profile(path);
    CHECK(std::abs(once.peak_flop_per_s.number / rate - 1) < 1e-15);
    // From then on exactly: what a file gave, a file gives back.
    write_whole_file(path, machine_profile_json(once));
    CHECK(read_machine_profile(path).peak_flop_per_s.number == once.peak_flop_per_s.number);
    CHECK(read_machine_profile(path).eager.gap_s.number == once.eager.gap_s.number);
  }
  profile.peak_flop_per_s.source = "hearsay";
  CHECK_THROWS_AS(machine_profile_json(profile), std::invalid_argument);
}

/// H100's file with one value changed.
class SpoiledFile {
 public:
  SpoiledFile() : whole_(nlohmann::json::parse(read_whole_file(machine_path("H100")))) {}

  [[nodiscard]] std::string refused(const std::string& key, const nlohmann::json& value) const {
    nlohmann::json spoiled = whole_;
    spoiled[nlohmann::json::json_pointer(key)] = value;
    return refused(spoiled);
  }

  [[nodiscard]] std::string refused_without(const std::string& group,
                                            const std::string& key) const {
    nlohmann::json spoiled = whole_;
    spoiled[nlohmann::json::json_pointer(group)].erase(key);
    return refused(spoiled);
  }

 private:
  /// The refusal without the path that it must begin with.
  [[nodiscard]] std::string refused(const nlohmann::json& spoiled) const {
    const std::string path = folder_.file("m.json");
    write_whole_file(path, spoiled.dump());
    const std::string line = refusal([&] { (void)find_machine(path); });
    return line.starts_with(path + ": ") ? line.substr(path.size() + 2) : line;
  }

  TemporaryFolder folder_;
  nlohmann::json whole_;
};

TEST_CASE("values that a machine file cannot hold", "[machines]") {
  const SpoiledFile file;
  CHECK(file.refused("/name", "mine") == "accepted");
  CHECK(file.refused("/schema", "apb-model") ==
        "schema = \"apb-model\": must be one of apb-machine");
  CHECK(file.refused("/version", 2) == "version = 2: must be 1");
  CHECK(file.refused("/title", "") == "title = \"\": must be a text");
  CHECK(file.refused("/sources", 5) == "sources = 5: must be an object");
  CHECK(file.refused("/sources/datasheet", 5) == "sources.datasheet = 5: must be a text");
  CHECK(file.refused("/values/peek", 5).starts_with("values.peek: unknown key; known are peak, "));
  CHECK(file.refused_without("/values", "peak") == "values.peak is missing");
  CHECK(file.refused_without("/values/peak", "unit") == "values.peak.unit is missing");
  CHECK(file.refused("/values/peak/unit", "GFLOP/s") ==
        "values.peak.unit = \"GFLOP/s\": must be one of TFLOP/s");
  CHECK(file.refused("/values/peak/value", 0) ==
        "values.peak.value = 0: must be a positive number");
  CHECK(file.refused("/values/peak/value", "312") ==
        "values.peak.value = \"312\": must be a positive number");
  CHECK(file.refused("/values/reserved/value", -1) ==
        "values.reserved.value = -1: must be zero or a positive number");
  CHECK(file.refused("/values/gpus_per_node/value", 7.5) ==
        "values.gpus_per_node.value = 7.5: must be a count from 1 on");
  CHECK(file.refused("/values/nics_per_node/value", 0) == "accepted");
  CHECK(file.refused("/values/peak/source", "hearsay") ==
        "values.peak.source = \"hearsay\": must be among the file's sources");
  CHECK(file.refused("/values/peak/provenance", "guessed") ==
        "values.peak.provenance = \"guessed\": must be one of measured, published, interpolated, "
        "datasheet, extrapolated, assumed");
  CHECK(file.refused_without("/launch", "captured") == "launch.captured is missing");
  CHECK(file.refused_without("/spread", "session") == "spread.session is missing");
  CHECK(file.refused_without("", "tables") == "tables is missing");
}

TEST_CASE("tables that a machine file cannot hold", "[machines]") {
  const SpoiledFile file;
  CHECK(file.refused("/tables/gemm", {{"rows", 1}}) ==
        "tables.gemm = {\"rows\":1}: must be a list");
  CHECK(file.refused("/tables/gemm/0/columns/3", "us") ==
        "tables.gemm[0].columns = [\"m\",\"n\",\"k\",\"us\"]: must be "
        "[\"m\",\"n\",\"k\",\"TFLOP/s\"]");
  CHECK(file.refused("/tables/gemm/0/rows/1", {1, 2, 3}) ==
        "tables.gemm[0].rows[1] = [1,2,3]: must be 4 values");
  CHECK(file.refused("/tables/gemm/0/rows/1/0", 0) ==
        "tables.gemm[0].rows[1][0] = 0: must be a count from 1 on");
  CHECK(file.refused("/tables/gemm/0/rows", nlohmann::json::array()) ==
        "tables.gemm[0].rows = []: must be at least one row (or leave the table out)");
  CHECK(file.refused("/tables/attention/0/rows/0/0", "banded") ==
        "tables.attention[0].rows[0][0] = \"banded\": must be one of causal, full");
  CHECK(file.refused("/tables/attention/0/rows/0/1", 8192) ==
        "tables.attention[0].rows[0][1] = 8192: must be at most kv_len under a causal mask");
  CHECK(file.refused("/tables/attention/0/fused_segments", 1) ==
        "tables.attention[0].fused_segments = 1: must be true or false");
  CHECK(file.refused("/tables/collectives/0/kind", "broadcast") ==
        "tables.collectives[0].kind = \"broadcast\": must be one of all_gather, all_to_all, "
        "all_reduce, send_receive");
  CHECK(file.refused("/tables/collectives/0/num_ranks", 1) ==
        "tables.collectives[0].num_ranks = 1: must be at least 2");
  CHECK(file.refused("/tables/collectives/0/num_nodes", 9) ==
        "tables.collectives[0].num_nodes = 9: must be at most num_ranks");
  CHECK(file.refused("/tables/collectives/0/rows/1/0", 1024) ==
        "tables.collectives[0].rows[1][0] = 1024: must be more than in the row before");
}

}  // namespace
}  // namespace apb::sim
