// The audit finds each defect that published machine data have been seen with, and none in ours.

#include "sim/machine/profile_audit.hpp"

#include "reference/cli/whole_file.hpp"
#include "sim/machine/profile_file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::sim {
namespace {

std::vector<MachineProfile> all_but(const std::string& name) {
  std::vector<MachineProfile> others;
  for (const std::string& known : known_machines()) {
    if (known != name) others.push_back(find_machine(known));
  }
  return others;
}

/// A shipped profile with a planted defect.
struct Defect {
  explicit Defect(const std::string& name) : profile(find_machine(name)) {}

  /// What the audit says about `key`: "error: ...", "warning: ..." or "".
  [[nodiscard]] std::string finding(const std::string& key) const {
    for (const Finding& finding : audit_profile(profile, "file", all_but(profile.name))) {
      if (finding.key != key) continue;
      return (finding.severity == Severity::kError ? "error: " : "warning: ") + finding.text;
    }
    return "";
  }

  MachineProfile profile;
};

std::size_t table_of(const MachineProfile& profile, CollectiveKind kind) {
  std::size_t i = 0;
  while (profile.collectives.at(i).kind != kind) ++i;
  return i;
}

TEST_CASE("shipped machines are free of errors", "[machines]") {
  for (const std::string& name : known_machines()) {
    INFO(name);
    std::string warnings;
    for (const Finding& warning : audited_machine(name).warnings) warnings += warning.key + " ";
    const bool whole = name == "A100-80G" || name == "H100" || name == "H100-apb";
    CHECK(warnings.empty() == whole);
  }
  const Finding missing = audited_machine("MI300X").warnings.front();
  CHECK(missing.line() ==
        machine_path("MI300X") + ": tables.gemm: no table: 0.5 of the peak stands in");
}

TEST_CASE("figures taken for others", "[machines]") {
  Defect sparse("H100");
  sparse.profile.peak_flop_per_s.number = 1979e12;
  CHECK(sparse.finding("values.peak") ==
        "error: 1979 TFLOP/s is the H100's sparse figure; dense is 989.4");
  sparse.profile.name = sparse.profile.title = "our cluster";
  CHECK(sparse.finding("values.peak").starts_with("warning: 1979 TFLOP/s is the H"));
  Defect l40s("L40S");
  l40s.profile.peak_flop_per_s.number = 733e12;
  CHECK(l40s.finding("values.peak").starts_with("error: 733 TFLOP/s is the L40S's sparse"));
  Defect a100("A100-80G");
  a100.profile.peak_flop_per_s.number = 624e12;
  CHECK(a100.finding("values.peak").starts_with("error: 624 TFLOP/s is the A100's sparse"));

  Defect both_ways("A800-80G");
  both_ways.profile.link_bytes_per_s.number = 400e9;
  CHECK(both_ways.finding("values.link_bandwidth") ==
        "error: 400 GB/s counts both directions of the A800's links; one has 200");

  Defect memory("H100");
  memory.profile.memory_bytes.number = 80e9;
  CHECK(memory.finding("values.memory") ==
        "warning: 80 GB: are these the H100's 80 GiB (85.9 GB)?");
  memory.profile.memory_bytes.number = 85.9e9 * 1.0737;
  CHECK(memory.finding("values.memory").starts_with("error: 92.2308 GB is more than the H100's"));
}

TEST_CASE("slips of units", "[machines]") {
  Defect machine("A100-80G");
  machine.profile.memory_bytes_per_s.number = 2.039e9;
  CHECK(machine.finding("values.memory_bandwidth") ==
        "error: 2.039 GB/s: no machine has that (100 to 50000); another unit?");
  machine.profile.collective_latency_s.number = 14.6e-3;
  CHECK(machine.finding("values.collective_latency").starts_with("error: 14600 us"));
  machine.profile.gemm_efficiency.number = 85;
  CHECK(machine.finding("values.gemm_efficiency") == "error: 85: more than all of it");
  machine.profile.spread.gemm.number = 5;
  CHECK(machine.finding("spread.gemm") == "error: 5: relative, so 5 % is written 0.05");
  machine.profile.eager.dispatch_s.number = 10e-3;
  CHECK(machine.finding("launch.eager.dispatch") ==
        "error: 10000 us for one launch; another unit?");
  for (CollectivePoint& point : machine.profile.collectives.front().points) {
    point.time.number *= 1000;
  }
  CHECK(machine.finding("tables.collectives[0].rows[4]").ends_with("another unit?"));
  machine.profile.gemm.front().points.front().rate = FlopPerSecond(0.25e12);
  CHECK(machine.finding("tables.gemm[0].rows[0]").ends_with("another unit?"));
}

TEST_CASE("tables that cannot be", "[machines]") {
  Defect machine("H100");
  auto& points = machine.profile.collectives.front().points;
  points[2].time = 0.8 * points[1].time;
  CHECK(machine.finding("tables.collectives[0].rows[2]").starts_with("error: 4.1943e+06 bytes"));
  points[2].time = 0.98 * points[1].time;  // as repeated runs differ
  CHECK(machine.finding("tables.collectives[0].rows[2]").starts_with("warning: "));
  points.back().time = Seconds(0.5 * points.back().time.number);
  CHECK(machine.finding("tables.collectives[0].rows[6]") ==
        "error: 536870912 bytes: 670 GB/s into a GPU, whose link has 450 in one direction");
  machine.profile.gemm.front().points[3].rate = FlopPerSecond(14.58 * 989.4e12);
  CHECK(machine.finding("tables.gemm[0].rows[3]") ==
        "error: [20480, 4096] x [4096, 28672]: 14425 TFLOP/s is 14.58 of the peak");
  machine.profile.attention.front().points[1].rate = FlopPerSecond(1100e12);
  CHECK(machine.finding("tables.attention[0].rows[1]")
            .starts_with("error: 8192 rows, 8192 keys: 1100 TFLOP/s is 1.11"));

  Defect nodes("B200");
  const std::size_t last = nodes.profile.collectives.size() - 1;
  for (CollectivePoint& point : nodes.profile.collectives[last].points) {
    point.time = Seconds(0.4 * point.time.number);
  }
  CHECK(nodes.finding(fmt::format("tables.collectives[{}].rows[6]", last))
            .ends_with("into a node, whose NICs have 400"));
}

TEST_CASE("tables copied from elsewhere", "[machines]") {
  Defect machine("A800-80G");
  machine.profile.collectives = {find_machine("A100-80G").collectives.at(5)};
  CHECK(machine.finding("tables.collectives[0]") ==
        "error: the same rows as A100-80G's, to the digit: a copy of another machine's "
        "measurements?");
  machine.profile.attention = {find_machine("L40S").attention.front()};
  CHECK(machine.finding("tables.attention[0]").starts_with("error: the same rows as L40S's"));
  machine.profile.gemm = {find_machine("A100-80G").gemm.front()};
  CHECK(machine.finding("tables.gemm[0]").starts_with("error: the same rows as A100-80G's"));

  // The same GPUs and links under another name: one's tables are the other's.
  Defect renamed("A100-80G");
  renamed.profile.name = "our A100 nodes";
  renamed.profile.nics_per_node.number = 1;
  CHECK(renamed.finding("tables.collectives[0]").empty());

  Defect reduced("A100-80G");
  auto& tables = reduced.profile.collectives;
  const CollectiveTable all_reduce = tables[table_of(reduced.profile, CollectiveKind::kAllReduce)];
  tables.front().points = all_reduce.points;
  CHECK(reduced.finding("tables.collectives[0]") ==
        "error: figures of the all_reduce in tables.collectives[4] under the name of all_gather");
  for (CollectivePoint& point : tables.front().points)
    point.time = Seconds(0.5 * point.time.number);
  CHECK(reduced.finding("tables.collectives[0]").starts_with("error: figures of the all_reduce"));
}

TEST_CASE("tables and rows that stand twice", "[machines]") {
  Defect machine("H100");
  auto& gemm = machine.profile.gemm;
  auto& attention = machine.profile.attention;
  auto& collectives = machine.profile.collectives;
  gemm.push_back(gemm.front());
  attention.push_back(attention.at(1));
  attention.back().points.pop_back();
  collectives.push_back(collectives.at(2));
  collectives.back().points.pop_back();
  CHECK(machine.finding("tables.gemm[2]") == "error: about the same as tables.gemm[0]");
  CHECK(machine.finding("tables.attention[5]") == "error: about the same as tables.attention[1]");
  CHECK(machine.finding("tables.collectives[7]") ==
        "error: about the same as tables.collectives[2]");
  CHECK(machine.finding("tables.gemm[0].rows[4]").empty());
  gemm.front().points.at(4) = gemm.front().points.at(1);
  CHECK(machine.finding("tables.gemm[0].rows[4]") ==
        "warning: the same as rows[1]: it counts twice");
}

TEST_CASE("an error refuses the profile", "[machines]") {
  Defect machine("H100");
  machine.profile.peak_flop_per_s.number = 1979e12;
  machine.profile.link_bytes_per_s.number = 900e9;
  machine.profile.gemm.clear();
  machine.profile.attention.clear();
  machine.profile.collectives.clear();
  const TemporaryFolder folder;
  const std::string path = folder.file("mine.json");
  write_whole_file(path, machine_profile_json(machine.profile));
  CHECK(refusal([&] { (void)audited_machine(path); }) ==
        path +
            ": values.peak: 1979 TFLOP/s is the H100's sparse figure; dense is 989.4 (and "
            "1 more)");
}

}  // namespace
}  // namespace apb::sim
