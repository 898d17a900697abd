// Affinity, control groups of both versions, OMP_NUM_THREADS: the least of them counts.

#include "reference/core/available_cores.hpp"

#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

/// A tree of control groups made of files.
class Groups {
 public:
  explicit Groups(const std::string& membership) { write("membership", membership); }

  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = folder_.file(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  [[nodiscard]] int cores() const {
    return cgroup_cores({folder_.file(""), folder_.file("membership")});
  }

 private:
  TemporaryFolder folder_;
};

TEST_CASE("cgroup version 2: the least limit of the group and all above", "[cores]") {
  const Groups groups("0::/job/step\n");
  CHECK(groups.cores() == kNoLimit);
  groups.write("job/step/cpu.max", "max 100000\n");
  CHECK(groups.cores() == kNoLimit);
  groups.write("job/cpu.max", "350000 100000\n");
  CHECK(groups.cores() == 4);  // three and a half
  groups.write("job/step/cpu.max", "200000 100000\n");
  CHECK(groups.cores() == 2);
  groups.write("job/other/cpu.max", "100000 100000\n");
  CHECK(groups.cores() == 2);
  groups.write("job/step/cpu.max", "1000 100000\n");
  CHECK(groups.cores() == 1);
  groups.write("job/step/cpu.max", "what");
  CHECK(groups.cores() == 4);
}

TEST_CASE("cgroup in a container: the path is the host's, the limit is at the root", "[cores]") {
  const Groups groups("0::/docker/0123456789\n");
  groups.write("cpu.max", "150000 100000\n");
  CHECK(groups.cores() == 2);
}

TEST_CASE("cgroup version 1, alone and beside version 2", "[cores]") {
  const Groups groups("9:name=systemd:/\n4:memory:/job\n3:cpuset:/job\n1:cpuacct,cpu:/job\n0::/\n");
  CHECK(groups.cores() == kNoLimit);
  groups.write("cpu/job/cpu.cfs_period_us", "50000\n");
  groups.write("cpu/job/cpu.cfs_quota_us", "-1\n");
  CHECK(groups.cores() == kNoLimit);
  groups.write("cpu/job/cpu.cfs_quota_us", "150000\n");
  CHECK(groups.cores() == 3);
  groups.write("unified/cpu.max", "200000 100000\n");
  CHECK(groups.cores() == 2);
  groups.write("cpuset/job/cpu.cfs_quota_us", "50000\n");  // not the cpu controller's
  groups.write("cpuset/job/cpu.cfs_period_us", "50000\n");
  CHECK(groups.cores() == 2);
}

TEST_CASE("no control groups at all", "[cores]") {
  CHECK(cgroup_cores({"/nowhere", "/nowhere/membership"}) == kNoLimit);
}

TEST_CASE("OMP_NUM_THREADS: its first number, if it is one", "[cores]") {
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before == nullptr ? "" : before;
  const auto asked = [](const char* text) {
    setenv("OMP_NUM_THREADS", text, 1);
    return cores_asked_for();
  };
  CHECK(asked("3") == 3);
  CHECK(asked(" 4 ") == 4);
  CHECK(asked("5,2") == 5);
  for (const char* no_number : {"", "0", "-2", "many", "2x", ","}) {
    CAPTURE(no_number);
    CHECK(asked(no_number) == kNoLimit);
  }
  CHECK(asked("1") == 1);
  CHECK(available_cores() == 1);
  unsetenv("OMP_NUM_THREADS");
  CHECK(cores_asked_for() == kNoLimit);
  if (before != nullptr) setenv("OMP_NUM_THREADS", kept.c_str(), 1);
}

TEST_CASE("a thread that may run on one processor only has one core", "[cores]") {
  const std::vector<int> all = allowed_processors();
  REQUIRE(!all.empty());
  std::vector<int> found;
  int cores = 0;
  std::jthread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(all.back()), &one);
    sched_setaffinity(0, sizeof(one), &one);
    found = allowed_processors();
    cores = available_cores();
  }).join();
  CHECK(found == std::vector<int>{all.back()});
  CHECK(cores == 1);
  CHECK(available_cores() <= static_cast<int>(all.size()));
}

}  // namespace
}  // namespace apb
