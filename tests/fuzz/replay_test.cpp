// The fuzz target's body without a fuzzer: the corpus, and random scripts from a seed.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/fuzz/read_edited.hpp"
#include "tests/fuzz/reader_contract.hpp"
#include "tests/fuzz/seed_files.hpp"
#include "tests/support/catch.hpp"

namespace apb {
namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;

Bytes read_bytes(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The verdict on a script; what breaks the contract is a failed check with the script beside it.
Reading replay(const Bytes& script) {
  CAPTURE(fmt::format("{:02x}", fmt::join(script, " ")));
  Reading reading = Reading::kRefused;
  CHECK_NOTHROW(reading = read_edited(decode_script(script)));
  return reading;
}

TEST_CASE("the corpus is read or refused", "[fuzz]") {
  std::array<int, 2> count{};
  for (const auto& entry : fs::directory_iterator(APB_SOURCE_DIR "/tests/fuzz/corpus")) {
    CAPTURE(entry.path().filename());
    const Bytes script = read_bytes(entry.path());
    const Reading reading = replay(script);
    const bool unchanged = script.size() == 1;
    if (unchanged) CHECK(reading == Reading::kRead);
    ++count[static_cast<std::size_t>(reading)];
  }
  CHECK(count[0] > 10);
  CHECK(count[1] > 10);
}

TEST_CASE("random scripts are read or refused", "[fuzz]") {
  constexpr int kScripts = 10000;
  std::mt19937_64 generator(3);
  const auto byte = [&] { return static_cast<std::uint8_t>(generator() % 256); };
  /// By the kind of the only edit: how many were read, how many refused.
  std::array<std::array<int, 2>, kNumEditKinds> count{};
  for (int number = 0; number < kScripts; ++number) {
    const std::size_t num_edits = 1 + generator() % 3;
    Bytes script(1 + 12 * num_edits);
    for (auto& any : script) any = byte();
    const Reading reading = replay(script);
    if (num_edits == 1) ++count[script[1] % kNumEditKinds][static_cast<std::size_t>(reading)];
  }
  for (std::size_t kind = 0; kind < count.size(); ++kind) {
    CAPTURE(kind, count[kind]);
    CHECK(count[kind][0] > 0);
    CHECK(count[kind][1] > 0);
  }
}

TEST_CASE("the contract can be broken", "[fuzz]") {
  const CaseFile& case_file = *seed_files().back().answers;
  CHECK_NOTHROW(require_sound(case_file));
  const auto broken = [&](auto change) {
    CaseFile changed = case_file;
    change(changed);
    CHECK_THROWS_AS(require_sound(changed), BrokenContract);
  };
  broken([](CaseFile& c) { c.ranks[1].query.resize_rows(1); });
  broken([](CaseFile& c) { c.ranks[1].kept_positions[0].back() = 9; });
  broken([](CaseFile& c) { c.ranks[1].passing_doc_pos[1].pop_back(); });
  broken([](CaseFile& c) { c.decode->ranks[1].query_keys = 1; });
  broken([](CaseFile& c) { c.ranks[1].rank = 3; });

  CandidateFile candidate;
  candidate.ranks.emplace_back().rank = 1;
  CHECK_NOTHROW(require_sound(candidate, case_file));
  candidate.ranks[0].lse = Matrix<double>(1, 4);
  CHECK_THROWS_AS(require_sound(candidate, case_file), BrokenContract);

  CHECK_NOTHROW(require_one_line("case.h5: seed = -1", "case.h5"));
  CHECK_THROWS_AS(require_one_line("case.h5: seed =\n-1", "case.h5"), BrokenContract);
  CHECK_THROWS_AS(require_one_line("seed = -1", "case.h5"), BrokenContract);
}

}  // namespace
}  // namespace apb
