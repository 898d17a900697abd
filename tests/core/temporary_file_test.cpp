// Two writers of one file, whoever and wherever they are, never share a temporary file.

#include "reference/core/temporary_file.hpp"

#include <unistd.h>

#include <array>
#include <filesystem>

#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

namespace fs = std::filesystem;

TEST_CASE("create_temporary_file: a new file of this machine and process", "[temporary]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("trace.h5");
  const std::string first = create_temporary_file(path);
  const std::string second = create_temporary_file(path);
  CHECK(first != second);
  std::array<char, 256> machine{};
  gethostname(machine.data(), machine.size() - 1);
  for (const std::string& name : {first, second}) {
    CHECK(name.starts_with(path + ".part-"));
    CHECK(name.find(std::string(machine.data()).substr(0, 32)) != std::string::npos);
    CHECK(name.find(std::to_string(getpid())) != std::string::npos);
    CHECK(fs::is_regular_file(name));
  }
  CHECK(create_temporary_file(folder.file("nowhere/x")).empty());
}

TEST_CASE("two writers of one file at once: each is whole, the last one stays", "[temporary]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("both.h5");
  {
    Hdf5Writer first(path);
    Hdf5Writer second(path);
    first.set_attribute("/", "writer", std::int64_t{1});
    second.set_attribute("/", "writer", std::int64_t{2});
    second.commit();
    CHECK(Hdf5Reader(path).int_attribute("writer") == 2);
    first.commit();
    CHECK(Hdf5Reader(path).int_attribute("writer") == 1);
    const Hdf5Writer given_up(path);
  }
  CHECK(folder.num_files() == 1);
}

}  // namespace
}  // namespace apb
