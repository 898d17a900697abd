// Calibration: what users' files say, what is merged, and how far off points held out are.

#include "sim/calibrate/calibrate.hpp"

#include <cmath>

#include "reference/cli/whole_file.hpp"
#include "sim/machine/profile_audit.hpp"
#include "sim/machine/profile_file.hpp"
#include "sim/tools/commands.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::sim {
namespace {

/// Output of all_gather_perf as version 2.13 prints it, on two nodes of two GPUs.
constexpr const char* kNcclTests = R"(mpirun -np 4 ./build/all_gather_perf -b 8 -e 64M -f 8 -g 1
# nThread 1 nGpus 1 minBytes 8 maxBytes 67108864 step: 8(factor) warmup iters: 5 iters: 20
#
# Using devices
#  Rank  0 Group  0 Pid   4961 on      node1 device  0 [0x07] NVIDIA A100-SXM4-80GB
#  Rank  1 Group  0 Pid   4962 on      node1 device  1 [0x0b] NVIDIA A100-SXM4-80GB
#  Rank  2 Group  0 Pid   5031 on      node2 device  0 [0x07] NVIDIA A100-SXM4-80GB
#  Rank  3 Group  0 Pid   5032 on      node2 device  1 [0x0b] NVIDIA A100-SXM4-80GB
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
           0             0     float    none      -1    12.31    0.00    0.00      0    12.02    0.00    0.00      0
node1:4961:4961 [0] NCCL INFO a line of the log in between
     1048576         65536     float    none      -1    60.00   17.48   13.11      0    61.02   17.18   12.89      0
     8388608        524288     float    none      -1    200.0   41.94   31.46      0    201.1   41.71   31.28    N/A
    67108864       4194304     float    none      -1   1500.0   44.74   33.55      0   1502.2   44.67   33.50      0
    67108864       4194304     float    none      -1   1520.0   44.15   33.11      0   1502.2   44.67   33.50      0
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 22.9
)";

/// As versions before 2.11 print it: no root, an error instead of #wrong.
constexpr const char* kOldNcclTests =
    R"(#       size         count      type   redop     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)                       (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
     1048576        262144     float     sum    70.74    1.85    1.62  2e-07    69.55    1.88    1.65  2e-07
)";

class Files {
 public:
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    write_whole_file(folder_.file(name), text);
    return folder_.file(name);
  }

 private:
  TemporaryFolder folder_;
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

TEST_CASE("an output of nccl-tests says ranks, nodes, sizes and times", "[calibrate]") {
  const Files files;
  Measurements measured;
  read_nccl_tests(files.write("log", kNcclTests), {}, measured);
  REQUIRE(measured.collectives.size() == 1);
  const CollectiveTable& table = measured.collectives.front();
  CHECK(table.kind == CollectiveKind::kAllGather);
  CHECK(table.num_ranks == 4);
  CHECK(table.num_nodes == 2);
  REQUIRE(table.points.size() == 3);
  CHECK(table.points[0].size == Bytes(1048576));
  CHECK(table.points[0].time.number == 60 * 1e-6);
  CHECK(std::abs(table.points[2].time.number - 1510e-6) < 1e-12);

  read_nccl_tests(files.write("old", kOldNcclTests), {CollectiveKind::kAllReduce, 8, 1}, measured);
  CHECK(measured.collectives.back().kind == CollectiveKind::kAllReduce);
  CHECK(measured.collectives.back().points.front().time.number == 70.74 * 1e-6);
}

TEST_CASE("outputs of nccl-tests that say too little or the wrong thing", "[calibrate]") {
  const Files files;
  const auto refused = [&](const std::string& text, const NcclTestsHints& hints = {}) {
    const std::string path = files.write("log", text);
    Measurements measured;
    const std::string line = refusal([&] { read_nccl_tests(path, hints, measured); });
    return line.starts_with(path + ": ") ? line.substr(path.size() + 2) : line;
  };
  const std::string text = kNcclTests;
  CHECK(refused("hello\n") == "holds no measurement of nccl-tests");
  CHECK(refused(kOldNcclTests, {{}, 8, 1}) ==
        "no line names the program (all_gather_perf, ...): say --collective");
  CHECK(refused(kOldNcclTests, {CollectiveKind::kAllReduce, 0, 0}) ==
        "lists fewer than 2 ranks: say --ranks (and --nodes)");
  CHECK(refused(text, {{}, 3, 0}) == "ranks = 3: must be a multiple of the 2 nodes");
  CHECK(refused(replaced(text, "all_gather_perf", "reduce_scatter_perf")) ==
        "line 1: reduce_scatter_perf is no collective that a prefill uses");
  CHECK(refused(replaced(text, "Rank  3", "Rank  0")) ==
        "line 8: rank 0 a second time: these are separate runs of one GPU each (nccl-tests built "
        "without MPI?)");
  CHECK(refused(replaced(text, "13.11      0", "13.11      7")) ==
        "line 15: 7 wrong values: the collective does not work");
  CHECK(refused(replaced(text, "    60.00 ", "     soon ")) ==
        "line 15: time = soon: must be a positive number");
  CHECK(refused(text + "  16  2 float\n") == "line 21: a row without its time");
}

TEST_CASE("timings as CSV", "[calibrate]") {
  const Files files;
  Measurements measured;
  read_gemm_csv(files.write("a.csv", "# one H100\nk,n,m,us\n4096,6144,20480,1298\n"), measured);
  read_gemm_csv(files.write("b.csv", "m, n, k, TFLOP/s\r\n8192, 8192, 8192, 789\r\n\r\n"),
                measured);
  REQUIRE(measured.gemm.size() == 2);
  CHECK(measured.gemm[0].m == 20480);
  CHECK(measured.gemm[0].rate.number == 2.0 * 20480 * 6144 * 4096 / 1298e-6);
  CHECK(measured.gemm[1].rate.number == 789e12);

  const std::string header = "mask,q_len,kv_len,q_heads,kv_heads,head_dim,us";
  read_attention_csv(files.write("c.csv", header + "\ncausal,4,4,32,8,128,2\nfull,4,6,32,8,64,2\n"),
                     "mine", measured);
  read_attention_csv(files.write("d.csv", header + ",backend\nfull,2,2,8,8,128,1,other\n"), "mine",
                     measured);
  REQUIRE(measured.attention.size() == 3);
  CHECK(measured.attention[0].backend == "mine");
  // 4 + 3 + 2 + 1 visible pairs.
  CHECK(measured.attention[0].points[0].rate.number == 4.0 * 128 * 10 * 32 / 2e-6);
  CHECK(measured.attention[1].points[0].rate.number == 4.0 * 64 * 24 * 32 / 2e-6);
  CHECK(measured.attention[2].backend == "other");

  const auto gemm_refused = [&](const std::string& text) {
    const std::string path = files.write("e.csv", text);
    const std::string line = refusal([&] { read_gemm_csv(path, measured); });
    return line.substr(std::min(line.size(), path.size() + 2));
  };
  CHECK(gemm_refused("") == "is empty");
  CHECK(gemm_refused("m,n,us\n") ==
        "has no column k (columns are m, n, us; needed are m, n, k, us)");
  CHECK(gemm_refused("m,n,k,us\n1,2,3\n") == "line 2: 3 values under 4 columns");
  CHECK(gemm_refused("m,n,k,us\n1,2,3,nan\n") == "line 2: us = nan: must be a positive number");
  CHECK(gemm_refused("m,n,k,us\n1,2,-3,4\n") == "line 2: k = -3: must be a count from 1 on");
  const std::string path = files.write("f.csv", header + "\nbanded,4,4,32,8,128,2\n");
  CHECK(refusal([&] { read_attention_csv(path, "mine", measured); }) ==
        path + ": line 2: mask = banded: must be causal or full");
  const std::string rows = files.write("g.csv", header + "\ncausal,5,4,32,8,128,2\n");
  CHECK(refusal([&] { read_attention_csv(rows, "mine", measured); }) ==
        rows + ": line 2: q_len = 5: must be at most kv_len under a causal mask");
}

constexpr const char* kBench = R"({"schema": "apb-bench", "version": 1, "machine": {"gpu": "H100"},
"gemm": [{"m": 4096, "n": 6144, "k": 4096, "us": 260}],
"attention": [{"backend": "cudnn", "mask": "causal", "q_len": 4096, "kv_len": 4096,
               "num_q_heads": 32, "num_kv_heads": 8, "head_dim": 128, "us": 282}],
"collectives": [{"kind": "all_gather", "num_ranks": 8, "num_nodes": 1, "bytes": 1048576, "us": 17}],
"layers": [{}], "prefills": [{}], "exchanges": [{}]})";

TEST_CASE("output of our own benchmarks", "[calibrate]") {
  const Files files;
  Measurements measured;
  read_bench_json(files.write("bench.json", kBench), measured);
  CHECK(measured.gemm.size() == 1);
  CHECK(measured.attention.front().points.front().q_len == 4096);
  CHECK(measured.collectives.front().points.front().time.number == 17 * 1e-6);
  const std::string path =
      files.write("bad.json", replaced(kBench, "\"num_kv_heads\": 8", "\"num_kv_heads\": 5"));
  CHECK(refusal([&] { read_bench_json(path, measured); }) ==
        path + ": attention[0].num_kv_heads = 5: must be a divisor of num_q_heads");
}

TEST_CASE("measured tables take the place of the base's", "[calibrate]") {
  const MachineProfile base = find_machine("H100");
  Measurements measured;
  measured.gemm = {{4096, 6144, 4096, FlopPerSecond(700e12)}};
  measured.attention_of("flash-attention-2", 128).points = {
      {MaskKind::kCausal, 4096, 4096, 32, FlopPerSecond(300.123456e12)}};
  measured.collective_of(CollectiveKind::kAllGather, 8, 1).points = {
      {Bytes(2e6), Seconds(30e-6)}, {Bytes(1e6), Seconds(20e-6)}, {Bytes(1e6), Seconds(22e-6)}};
  const auto [profile, fits] = calibrate(base, measured, "ours", "a note");
  CHECK(profile.name == "ours");
  CHECK(profile.sources.at("calibrated") == "a note");
  CHECK(profile.gemm.front().points.size() == 1);
  CHECK(profile.gemm.front().provenance == Provenance::kMeasured);
  for (std::size_t i = 1; i < profile.gemm.size(); ++i) {
    for (const GemmPoint& point : profile.gemm[i].points) CHECK(point.n != 6144);
  }
  CHECK(profile.attention.size() == base.attention.size());
  CHECK(profile.attention.front().backend == "flash-attention-2");
  CHECK(profile.attention.front().fused_segments);
  CHECK(profile.attention.front().points.front().rate == FlopPerSecond(300.12 * 1e12));
  CHECK(profile.collectives.size() == base.collectives.size());
  REQUIRE(profile.collectives.front().points.size() == 2);
  CHECK(profile.collectives.front().points.front().time == Seconds(21 * 1e-6));
  // Nothing could be held out: the spreads stay.
  CHECK(fits.size() == 3);
  CHECK(fits.front().held_out == 0);
  CHECK(profile.spread.gemm.number == base.spread.gemm.number);
  CHECK(calibrate(profile, measured, "again", "b").profile.sources.contains("calibrated-2"));
  CHECK(refusal([&] { (void)calibrate(base, {}, "none", ""); }) ==
        "calibration: no measurement given");
}

TEST_CASE("points held out are predicted from their neighbours", "[calibrate]") {
  const MachineProfile base = find_machine("H100");
  Measurements measured;
  // On a line of rates, except one that is held out and 10 % slower than the line.
  for (const Index m : {1000, 2000, 3000, 4000, 5000, 6000, 7000}) {
    const double rate = 500e12 + static_cast<double>(m) * 1e10;
    measured.gemm.push_back({m, 512, 512, FlopPerSecond(m == 4000 ? rate / 1.1 : rate)});
  }
  // Latency and bandwidth: linear interpolation is exact.
  auto& points = measured.collective_of(CollectiveKind::kAllToAll, 16, 2).points;
  for (const double size : {1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6}) {
    points.push_back({Bytes(size), Seconds(20e-6 + size / 30e9)});
  }
  const auto [profile, fits] = calibrate(base, measured, "ours", "a note");
  REQUIRE(fits.size() == 2);
  const FamilyFit& gemm = fits[0];
  CHECK(gemm.points == 7);
  CHECK(gemm.held_out == 3);
  CHECK(gemm.worst_point == "m = 4000 of [512, 512]");
  CHECK(std::abs(gemm.worst - (1 / 1.1 - 1)) < 1e-12);
  CHECK(std::abs(gemm.mean - 0.1 / 1.1 / 3) < 1e-12);
  CHECK(gemm.p95 == std::abs(gemm.worst));
  CHECK(profile.spread.gemm.number == 0.0525);  // 0.0909 / sqrt(3)
  CHECK(profile.spread.gemm.source == "calibrated");
  CHECK(fits[1].family == "collective");
  CHECK(fits[1].held_out == 3);
  CHECK(std::abs(fits[1].worst) < 1e-4);  // times are kept to five digits
  CHECK(profile.spread.collective.number == 0.005);
  CHECK(profile.spread.attention.number == base.spread.attention.number);
}

TEST_CASE("a profile of half of the points has seen none that it is judged by", "[calibrate]") {
  const MachineProfile base = find_machine("H100");
  Measurements measured;
  for (const Index m : {1000, 2000, 3000, 4000, 5000}) {
    measured.gemm.push_back({m, 512, 512, FlopPerSecond(500e12)});
  }
  for (const CollectiveKind kind : {CollectiveKind::kAllGather, CollectiveKind::kAllToAll}) {
    for (const double size : {1e6, 2e6, 4e6, 8e6, 16e6}) {
      measured.collective_of(kind, 2, 1).points.push_back({Bytes(size), Seconds(size / 300e9)});
    }
  }
  const CalibrationResult all = calibrate(base, measured, "all", "");
  const auto [half, fits] = calibrate(base, measured, "half", "", Share::kEveryOther);
  CHECK(all.profile.gemm.front().points.size() == 5);
  REQUIRE(half.gemm.front().points.size() == 3);
  for (const GemmPoint& point : half.gemm.front().points) CHECK(point.m % 2000 == 1000);
  CHECK(half.collectives.front().points.size() == 3);
  // A line a family, then one a kind of collective.
  REQUIRE(fits.size() == 4);
  CHECK(fits[0].points == 3);
  CHECK(fits[0].held_out == 2);
  CHECK(fits[1].held_out == 4);
  CHECK(fits[2].family == "  all_gather");
  CHECK(fits[2].points == 3);
  CHECK(fits[2].held_out == 2);
}

TEST_CASE("apb sim calibrate writes a profile that reads and holds", "[calibrate]") {
  const Files files;
  const std::string log = files.write("all_gather.log", kNcclTests);
  const std::string out = files.write("mine.json", "");
  const auto run = [&](const std::string& machine, const std::string& path) {
    CLI::App app("sim");
    Work work;
    add_calibrate_command(app, work);
    std::vector<std::string> words{
        path,    "--out",     log,        "--nccl-tests",
        machine, "--machine", "calibrate"};  // CLI11 takes them from the back
    app.parse(words);
    return work();
  };
  CHECK(run("A100-80G", out) == ExitStatus::kRight);
  const AuditedMachine mine = audited_machine(out);
  CHECK(mine.profile.name == "mine");
  CHECK(mine.profile.collectives.front().num_nodes == 2);
  CHECK(mine.profile.sources.at("calibrated") == "apb sim calibrate from all_gather.log");
  CHECK(refusal([&] { (void)run("A100-80G", "mine.txt"); }) ==
        "command line: --out = mine.txt: must be a .json file");
  // Faster than an L40S's bus: the measurement is of another machine.
  CHECK(refusal([&] { (void)run("L40S", out); }) ==
        log +
            ": tables.collectives[0].rows[2]: 67108864 bytes: 33 GB/s into a GPU, whose link has "
            "32 in one direction");
}

}  // namespace
}  // namespace apb::sim
