// The walk through a file from outside: all that somebody reads of it is read, in bounded memory,
// and nothing escapes. What cannot be read in a sound file is named.

#include "reference/core/hdf5/hdf5_walk.hpp"

#include <hdf5.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <new>
#include <vector>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/file_names.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "tests/core/case/sample_case.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

// A name that some reader opens.
constexpr const char* kWalkedName = "embedding";

/// Writes bytes that count up, as a compressed dataset of this shape and these chunks.
void write_chunked(const std::string& path, const std::vector<hsize_t>& shape,
                   const std::vector<hsize_t>& chunk) {
  silence_hdf5();
  const Hdf5Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  const auto num_dims = static_cast<int>(shape.size());
  const Hdf5Id space(H5Screate_simple(num_dims, shape.data(), nullptr), H5Sclose);
  const Hdf5Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), num_dims, chunk.data());
  H5Pset_deflate(properties.get(), 1);
  const Hdf5Id data(H5Dcreate2(file.get(), kWalkedName, H5T_NATIVE_UINT8, space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT),
                    H5Dclose);
  std::vector<std::uint8_t> values(
      static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get())));
  std::uint8_t next = 0;
  for (std::uint8_t& value : values) value = next++;
  REQUIRE(H5Dwrite(data.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >=
          0);
}

struct Steps {
  bool whole = false;
  std::vector<std::uint64_t> bytes;  ///< room of each
};

Steps walk(const std::string& path) {
  Steps steps;
  steps.whole = !walk_hdf5(path, {is_known_name, [](const std::string&) {},
                                  [&](std::uint64_t bytes) { steps.bytes.push_back(bytes); }});
  return steps;
}

TEST_CASE("chunked data is read whole, in boxes of at most 16 MiB", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("chunked.h5");
  const std::vector<std::pair<std::vector<hsize_t>, std::vector<hsize_t>>> shapes{
      {{2500, 16, 128}, {100, 1, 128}},  // as h5py would cut a tensor
      {{6000, 1000}, {1, 1000}},         // rows
      {{100, 70001}, {100, 7}},          // columns, the last one not whole
      {{3, 2500001}, {2, 2200000}},      // chunks of more than 16 MiB, as they are read
      {{5, 7, 3}, {2, 2, 2}},            // one box
      {{5000000}, {1024}}};
  for (const auto& [shape, chunk] : shapes) {
    write_chunked(path, shape, chunk);
    std::uint64_t values = 1;
    for (const hsize_t extent : shape) values *= extent;
    std::uint64_t chunk_bytes = sizeof(std::int64_t);
    for (const hsize_t extent : chunk) chunk_bytes *= extent;
    const Steps steps = walk(path);
    CAPTURE(shape, chunk, steps.bytes.size());
    CHECK(steps.whole);
    std::uint64_t read = 0;
    for (const std::uint64_t bytes : steps.bytes) read += bytes;
    CHECK(read == values * sizeof(std::int64_t));
    const std::uint64_t most = *std::max_element(steps.bytes.begin(), steps.bytes.end());
    CHECK(most <= std::max<std::uint64_t>(chunk_bytes, 16 << 20U));
    CHECK(steps.bytes.size() <= 2 + 2 * read / (8 << 20U));  // and not in needlessly many
    CHECK_NOTHROW(check_hdf5_in_child(path));
  }
}

TEST_CASE("a broken chunk in any box is found", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("broken.h5");
  write_chunked(path, {16, 1 << 18U}, {1, 1 << 18U});
  std::ifstream whole_file(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(whole_file), {}};
  const std::string zlib_header("\x78\x01", 2);
  int chunks = 0;
  for (std::size_t at = whole.find(zlib_header); at != std::string::npos;
       at = whole.find(zlib_header, at + 1)) {
    std::string broken = whole;
    broken.replace(at, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
    std::ofstream(path, std::ios::binary) << broken;
    CHECK(!walk(path).whole);
    CHECK(refusal([&] { check_hdf5_in_child(path); }).find(kWalkedName) != std::string::npos);
    ++chunks;
  }
  CHECK(chunks >= 16);
}

TEST_CASE("no exception passes through the library", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sound.h5");
  write_chunked(path, {10, 10}, {5, 5});
  const auto fail = [](auto&&...) { throw std::bad_alloc(); };
  const auto nothing = [](auto&&...) {};
  CHECK(!walk_hdf5(path, {is_known_name, nothing, nothing}));
  CHECK(walk_hdf5(path, {is_known_name, fail, nothing}) == "");
  CHECK(walk_hdf5(path, {is_known_name, nothing, fail}) == "");
}

TEST_CASE("names that readers open are known, and no others", "[hdf5]") {
  for (const char* name : {"rank_0", "rank_17/out", "rank_0/row_index", "decode",
                           "decode/rank_3/key", "decode/lse", "embedding", "layers", "layers/29",
                           "layers/0/down", "layers/3/fc2", "tokenizer/json", "rope_divisors"}) {
    CAPTURE(name);
    CHECK(is_known_name(name));
  }
  for (const char* name :
       {"", "rank_", "rank_x", "rank_0/debug", "rank_0/out/more", "decode/rank_1/rank_1",
        "layers/0", "notes", "layers/a/down", "tokenizer/is_special", "xrank_0"}) {
    CAPTURE(name);
    CHECK(is_known_name(name) == (std::string_view(name) == "layers/0" || *name == '\0'));
  }
}

/// Names of all datasets of a file.
std::vector<std::string> all_datasets(const std::string& path) {
  std::vector<std::string> names;
  const Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  const auto visit = [](hid_t, const char* name, const H5O_info_t* info, void* found) -> herr_t {
    if (info->type == H5O_TYPE_DATASET) {
      static_cast<std::vector<std::string>*>(found)->emplace_back(name);
    }
    return 0;
  };
  H5Ovisit(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, visit, &names);
  return names;
}

TEST_CASE("every dataset that this project writes is walked", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("case.h5");
  ApbConfig config;
  config.doc_len = 20;
  config.num_ranks = 3;
  config.query_len = 3;
  config.embedded_query_len = 2;
  config.anchor_len = 4;
  config.compressor = Compressor::kRandom;
  config.num_kept = 3;
  CaseFile case_file = sample_case(config, ValueType::kBfloat16);
  add_optional_parts(case_file);
  write_case(path, case_file);
  std::vector<std::string> walked;
  CHECK(!walk_hdf5(path, {is_known_name, [&](const std::string& name) { walked.push_back(name); },
                          [](std::uint64_t) {}}));
  const std::vector<std::string> written = all_datasets(path);
  CHECK(written.size() > 20);
  for (const std::string& name : written) {
    CAPTURE(name);
    CHECK(std::ranges::count(walked, name) == 1);
  }
}

}  // namespace
}  // namespace apb
