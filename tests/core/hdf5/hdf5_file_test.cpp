// HDF5 files: what is written is read back; what is broken or missing is refused by name.

#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"

#include <hdf5.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

namespace fs = std::filesystem;

using Shape = std::vector<Index>;

const std::vector<double> kDoubles{
    1.5,    -0.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(),
    1e-310, 3};
const std::vector<float> kFloats{0.1F, -2, 3e38F, 0};
const std::vector<std::int64_t> kIntegers{std::numeric_limits<std::int64_t>::min(), -1, 0,
                                          std::numeric_limits<std::int64_t>::max()};
const std::vector<std::uint8_t> kBytes{0, 127, 128, 255};

template <class T>
void write(Hdf5Writer& writer, const std::string& name, const Shape& shape,
           const std::vector<T>& values) {
  writer.write<T>(name, shape, values);
}

/// Under names that a walk looks at, as those of all files that are read.
void write_sample(const std::string& path) {
  Hdf5Writer writer(path);
  writer.set_attribute("/", "schema", std::string_view("sample"));
  writer.set_attribute("/", "version", std::int64_t{-7});
  writer.set_attribute("/", "scale", 0.125);
  writer.create_group("/rank_0");
  writer.set_attribute("/rank_0", "rows", std::int64_t{3});
  writer.set_attribute("/rank_0", "list", std::span<const std::int64_t>(kIntegers));
  writer.set_attribute("/", "empty_list", std::span<const std::int64_t>());
  write(writer, "/rank_0/out", {2, 3, 1}, kDoubles);
  write(writer, "/embedding", {4}, kFloats);
  write(writer, "/head", {2, 2}, kIntegers);
  write(writer, "/final_norm", {1, 4}, kBytes);
  write(writer, "/rope_divisors", {0, 5}, std::vector<double>{});
  writer.commit();
}

template <class T>
std::vector<T> read(const Hdf5Reader& reader, const std::string& name, const Shape& shape) {
  std::size_t count = 1;
  for (const Index extent : shape) count *= static_cast<std::size_t>(extent);
  std::vector<T> values(count);
  reader.read<T>(name, shape, values);
  return values;
}

/// Reads all that write_sample wrote.
void read_sample(const std::string& path) {
  const Hdf5Reader reader(path);
  (void)reader.string_attribute("schema");
  (void)reader.int_attribute("version");
  (void)reader.double_attribute("scale");
  (void)reader.int_attribute("/rank_0/rows");
  (void)reader.int_list_attribute("/rank_0/list");
  (void)read<double>(reader, "/rank_0/out", {2, 3, 1});
  (void)read<float>(reader, "/embedding", {4});
  (void)read<std::int64_t>(reader, "/head", {2, 2});
  (void)read<std::uint8_t>(reader, "/final_norm", {1, 4});
  (void)read<double>(reader, "/rope_divisors", {0, 5});
}

std::string read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_CASE("what is written is read back, bit for bit", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  CHECK_NOTHROW(check_hdf5_in_child(path));

  const Hdf5Reader reader(path);
  CHECK(reader.path() == path);
  CHECK(reader.string_attribute("schema") == "sample");
  CHECK(reader.int_attribute("version") == -7);
  CHECK(reader.double_attribute("scale") == 0.125);
  CHECK(bit_equal(read<double>(reader, "/rank_0/out", {2, 3, 1}), kDoubles));
  CHECK(bit_equal(read<float>(reader, "/embedding", {4}), kFloats));
  CHECK(read<std::int64_t>(reader, "/head", {2, 2}) == kIntegers);
  CHECK(read<std::uint8_t>(reader, "/final_norm", {1, 4}) == kBytes);
  CHECK(read<double>(reader, "/rope_divisors", {0, 5}).empty());
  CHECK(reader.shape("/rank_0/out") == Shape{2, 3, 1});
  CHECK(reader.shape("/rope_divisors") == Shape{0, 5});
}

TEST_CASE("floats are converted to the type asked for", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  CHECK(compare(read<float>(reader, "/embedding", {4}), read<double>(reader, "/embedding", {4})) <=
        0);
}

/// A dataset "halves" of 16-bit floats, as numpy's float16 is stored: 1.5, -0.25, 65504.
void write_halves(const std::string& path) {
  silence_hdf5();
  const Hdf5Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  const Hdf5Id half(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(half.get(), 15, 10, 5, 0, 10);
  H5Tset_size(half.get(), 2);
  H5Tset_ebias(half.get(), 15);
  const hsize_t count = 3;
  const Hdf5Id space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Hdf5Id dataset(H5Dcreate2(file.get(), "halves", half.get(), space.get(), H5P_DEFAULT,
                                  H5P_DEFAULT, H5P_DEFAULT),
                       H5Dclose);
  const std::array<float, 3> values{1.5F, -0.25F, 65504.0F};
  H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
}

TEST_CASE("floats of any width are floats; integers are not, nor are floats integers", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  const std::string halves = folder.file("halves.h5");
  write_sample(path);
  write_halves(halves);
  CHECK_NOTHROW(check_hdf5_in_child(halves));
  CHECK(read<double>(Hdf5Reader(halves), "/halves", {3}) == std::vector<double>{1.5, -0.25, 65504});
  const Hdf5Reader reader(path);
  CHECK(refusal([&] {
          (void)read<double>(reader, "/head", {2, 2});
        }) == path + ": /head = integers: must be floating-point numbers");
  CHECK(refusal([&] {
          (void)read<float>(reader, "/final_norm", {1, 4});
        }) == path + ": /final_norm = integers: must be floating-point numbers");
  CHECK(refusal([&] { (void)read<std::int64_t>(reader, "/embedding", {4}); }) ==
        path + ": /embedding = floating-point numbers: must be integers");
}

TEST_CASE("attributes of groups, and lists", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  CHECK(reader.int_attribute("/rank_0/rows") == 3);
  CHECK(reader.int_attribute("rank_0/rows") == 3);
  CHECK(reader.int_attribute("/version") == -7);
  CHECK(reader.int_list_attribute("/rank_0/list") == kIntegers);
  CHECK(reader.int_list_attribute("empty_list").empty());
  CHECK(reader.int_list_attribute("/rank_0/rows") == std::vector<std::int64_t>{3});
  CHECK(reader.has_attribute("/rank_0/rows"));
  CHECK(reader.has_attribute("schema"));
  CHECK_FALSE(reader.has_attribute("/rank_0/schema"));
  CHECK_FALSE(reader.has_attribute("/none/rows"));
  CHECK(refusal([&] { (void)reader.int_attribute("/rank_0/none"); }) ==
        path + ": attribute /rank_0/none is missing");
  CHECK(refusal([&] { (void)reader.int_attribute("/none/rows"); }) ==
        path + ": attribute /none/rows is missing");
  CHECK(refusal([&] { (void)reader.int_attribute("/rank_0/list"); }) ==
        path + ": attribute /rank_0/list: must be one integer");
  for (const char* name : {"schema", "scale"}) {
    CHECK(refusal([&] { (void)reader.int_list_attribute(name); }) ==
          fmt::format("{}: attribute {}: must be a list of integers", path, name));
  }
}

TEST_CASE("a dataset is stored if its size is the file's", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  CHECK_NOTHROW(reader.require_stored("/rank_0/out", Shape{2, 3, 1}));
  CHECK_NOTHROW(reader.require_stored("/rope_divisors", Shape{0, 5}));
  CHECK(refusal([&] { reader.require_stored("/embedding", Shape{5}); }) ==
        path + ": /embedding = shape [4]: must be shape [5]");
}

// A name that some reader opens.
constexpr const char* kName = "embedding";

/// A compressed dataset of `size` floats of which only the first chunk is stored.
void write_sparse(const std::string& path, hsize_t size) {
  silence_hdf5();
  const hsize_t chunk = 16;
  const Hdf5Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  const Hdf5Id space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const Hdf5Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), 1, &chunk);
  H5Pset_deflate(properties.get(), 1);
  const Hdf5Id dataset(H5Dcreate2(file.get(), kName, H5T_NATIVE_FLOAT, space.get(), H5P_DEFAULT,
                                  properties.get(), H5P_DEFAULT),
                       H5Dclose);
  const hsize_t first = 0;
  const hsize_t one = 1;
  const float value = 1;
  const Hdf5Id room(H5Screate_simple(1, &one, nullptr), H5Sclose);
  H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, &first);
  H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, room.get(), space.get(), H5P_DEFAULT, &value);
}

TEST_CASE("parts never written are their fill value, or refused by name", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sparse.h5");
  write_sparse(path, 16);
  CHECK_NOTHROW(check_hdf5_in_child(path));
  CHECK_NOTHROW(Hdf5Reader(path).require_stored("/embedding", Shape{16}));
  write_sparse(path, 40);
  CHECK_NOTHROW(check_hdf5_in_child(path));
  std::vector<float> filled(40);
  filled[0] = 1;
  CHECK(read<float>(Hdf5Reader(path), "/embedding", {40}) == filled);
  CHECK(refusal([&] { Hdf5Reader(path).require_stored("/embedding", Shape{40}); }) ==
        path + ": dataset /embedding: 2 of 3 parts (chunks) never written: must be whole");
  const Index huge =
      Index{1} << 33U;  // nobody has that many values, and to read them takes minutes
  write_sparse(path, static_cast<hsize_t>(huge));
  CHECK(refusal([&] { check_hdf5_in_child(path); })
            .starts_with(path +
                         ": /embedding has 8589934592 values, of which the file holds at most "));
  CHECK(refusal([&] {
          Hdf5Reader(path).require_stored("/embedding", Shape{huge});
        }).find("never written") != std::string::npos);
}

TEST_CASE("names are found at any depth, and only if they are there", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  CHECK(reader.has("/rank_0"));
  CHECK(reader.has("/rank_0/out"));
  CHECK_FALSE(reader.has("/rank_0/embedding"));
  CHECK_FALSE(reader.has("/no/such/path"));
}

TEST_CASE("what is missing or of another shape is refused by name", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  CHECK(refusal([&] { (void)reader.int_attribute("none"); }) ==
        path + ": attribute none is missing");
  CHECK(refusal([&] { (void)reader.double_attribute("none"); }) ==
        path + ": attribute none is missing");
  CHECK(refusal([&] { (void)reader.string_attribute("none"); }) ==
        path + ": attribute none is missing");
  CHECK(refusal([&] { (void)reader.int_attribute("schema"); }) ==
        path + ": attribute schema: must be one integer");
  CHECK(refusal([&] { (void)reader.double_attribute("schema"); }) ==
        path + ": attribute schema: must be one number");
  CHECK(refusal([&] { (void)reader.string_attribute("version"); }) ==
        path + ": attribute version: must be one string");
  CHECK(refusal([&] { (void)reader.int_attribute("scale"); }) ==
        path + ": attribute scale: must be one integer");
  CHECK(reader.double_attribute("version") == -7);
  CHECK(refusal([&] { (void)reader.shape("/none"); }) == path + ": dataset /none is missing");
  CHECK(refusal([&] { (void)read<float>(reader, "/none", {4}); }) ==
        path + ": dataset /none is missing");
  for (const Shape& wrong : {Shape{3}, Shape{5}, Shape{4, 1}, Shape{1, 4}, Shape{}}) {
    const std::string line = refusal([&] { (void)read<float>(reader, "/embedding", wrong); });
    CHECK(line.starts_with(path + ": /embedding = shape [4]: must be shape ["));
  }
}

TEST_CASE("room that differs from the shape is a mistake of the caller", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  write_sample(path);
  const Hdf5Reader reader(path);
  std::vector<float> room(3);
  CHECK_THROWS_AS(reader.read<float>("/embedding", std::array<Index, 1>{4}, room),
                  std::invalid_argument);
  Hdf5Writer writer(folder.file("other.h5"));
  CHECK_THROWS_AS(write(writer, "/embedding", {5}, kFloats), std::invalid_argument);
}

TEST_CASE("files that are missing or not HDF5 are refused by name", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string missing = folder.file("missing.h5");
  const std::string text = folder.file("text.h5");
  const std::string empty = folder.file("empty.h5");
  write_bytes(text, "This is not an HDF5 file.\n");
  write_bytes(empty, "");
  for (const std::string& path : {missing, text, empty, folder.file("")}) {
    CHECK(refusal([&] { const Hdf5Reader reader(path); }).starts_with(path + ": "));
    CHECK(refusal([&] { check_hdf5_in_child(path); }).starts_with(path + ": "));
  }
  struct NoFile {
    std::string path;
    std::string why;
  };
  for (const NoFile& no_file :
       {NoFile{missing, "no such file"}, NoFile{folder.file(""), "is a folder"},
        NoFile{"/dev/null", "is no regular file, but a pipe, a device or a socket"}}) {
    const std::string line = no_file.path + ": " + no_file.why;
    CHECK(refusal([&] { const Hdf5Reader reader(no_file.path); }) == line);
    CHECK(refusal([&] { check_hdf5_in_child(no_file.path); }) == line);
  }
}

TEST_CASE("a file cut anywhere is refused", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  const std::string cut = folder.file("cut.h5");
  write_sample(path);
  const std::string bytes = read_bytes(path);
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    CAPTURE(size, bytes.size());
    write_bytes(cut, bytes.substr(0, size));
    CHECK(refusal([&] { check_hdf5_in_child(cut); }).starts_with(cut + ": "));
    CHECK(refusal([&] { const Hdf5Reader reader(cut); }).starts_with(cut + ": "));
  }
  write_bytes(cut, bytes.substr(0, bytes.size() - 1));
  CHECK(refusal([&] { check_hdf5_in_child(cut); }).starts_with(cut + ": "));
}

TEST_CASE("a writer leaves nothing behind unless it commits", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("result.h5");
  {
    Hdf5Writer writer(path);
    write(writer, "/embedding", {4}, kFloats);
    CHECK_FALSE(fs::exists(path));
    CHECK(folder.num_files() == 1);
  }
  CHECK(folder.num_files() == 0);

  write_sample(path);
  CHECK(folder.num_files() == 1);
  const std::string before = read_bytes(path);
  {
    Hdf5Writer writer(path);
    write(writer, "/embedding", {4}, kFloats);
  }
  CHECK(folder.num_files() == 1);
  CHECK(read_bytes(path) == before);
  {
    Hdf5Writer writer(path);
    write(writer, "/only", {4}, kFloats);
    writer.commit();
  }
  CHECK(folder.num_files() == 1);
  CHECK(Hdf5Reader(path).has("/only"));
}

TEST_CASE("only an HDF5 file is replaced, or one that is empty", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("notes");
  for (const std::string text : {"a", "not HDF5, and longer than its signature"}) {
    std::ofstream(path) << text;
    CHECK(refusal([&] { const Hdf5Writer writer(path); }) ==
          path + ": is there and no HDF5 file: only such a file is replaced");
    CHECK(read_bytes(path) == text);
  }
  std::ofstream(path, std::ios::trunc).close();
  CHECK_NOTHROW(Hdf5Writer(path));
}

TEST_CASE("a file that cannot be created is bad input, a bad write cannot run", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string nowhere = folder.file("no/such/folder/result.h5");
  CHECK(refusal([&] { const Hdf5Writer writer(nowhere); }).starts_with(nowhere + ": "));
  Hdf5Writer writer(folder.file("result.h5"));
  CHECK_THROWS_AS(write(writer, "/no_group/embedding", {4}, kFloats), CannotRun);
  CHECK_THROWS_AS(writer.create_group("/no_group/rank_0"), CannotRun);
  CHECK_THROWS_AS(writer.set_attribute("/no_group", "version", std::int64_t{1}), CannotRun);
}

TEST_CASE("broken files never take the process with them", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sample.h5");
  const std::string mutated_path = folder.file("mutated.h5");
  write_sample(path);
  const std::string bytes = read_bytes(path);
  std::mt19937_64 generator(7);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string mutated = bytes;
    const std::uint64_t num_changes = 1 + generator() % 4;
    for (std::uint64_t change = 0; change < num_changes; ++change) {
      mutated[generator() % mutated.size()] = static_cast<char>(generator() % 256);
    }
    write_bytes(mutated_path, mutated);
    CAPTURE(round);
    std::string line = refusal([&] { check_hdf5_in_child(mutated_path); });
    if (line == "accepted") {
      line = refusal([&] { read_sample(mutated_path); });  // a crash here ends the test program
    } else {
      ++refused;
    }
    if (line != "accepted") CHECK(line.starts_with(mutated_path + ": "));
  }
  CHECK(refused > 0);
  CHECK(refused < 300);
}

}  // namespace
}  // namespace apb
