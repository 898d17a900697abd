// What the machine has, and what control groups of version 2 leave: the least counts.

#include "reference/core/available_memory.hpp"

#include <fstream>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

class Machine {
 public:
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = folder_.file(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  [[nodiscard]] std::optional<double> available() const {
    return available_memory_bytes(
        {folder_.file("meminfo"), folder_.file("groups"), folder_.file("membership")});
  }

 private:
  TemporaryFolder folder_;
};

TEST_CASE("the least of the machine's and the groups' memory is available", "[memory]") {
  const Machine machine;
  CHECK_FALSE(machine.available());
  machine.write("meminfo", "MemTotal:  900 kB\nMemFree:  1 kB\nMemAvailable:  800 kB\n");
  CHECK(machine.available() == 800 * 1024.0);
  machine.write("membership", "1:cpu:/else\n0::/job/step\n");
  machine.write("groups/job/step/memory.max", "max\n");
  CHECK(machine.available() == 800 * 1024.0);
  machine.write("groups/job/memory.max", "500000\n");
  CHECK(machine.available() == 500000);
  machine.write("groups/job/memory.stat", "file 400000\nanon 120000\nkernel 7\n");
  CHECK(machine.available() == 380000);  // pages of files can be dropped
  machine.write("groups/memory.max", "1000\n");
  CHECK(machine.available() == 1000);
  machine.write("groups/job/memory.stat", "anon 600000\n");
  CHECK(machine.available() == 0);
}

TEST_CASE("this machine says what it has", "[memory]") {
  CHECK(available_memory_bytes().value_or(0) > 1e6);
}

}  // namespace
}  // namespace apb
