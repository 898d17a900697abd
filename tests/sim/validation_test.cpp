// Validation sets of measured layers: with and without exchanges, parts by events.

#include <cmath>

#include "reference/cli/whole_file.hpp"
#include "sim/machine/profile_file.hpp"
#include "sim/tools/question.hpp"
#include "sim/validate/replay.hpp"
#include "tests/sim/sim_samples.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::sim {
namespace {

/// A set of these rows, 2 ranks of an H100.
std::string set_of(const std::string& rows, bool captured) {
  return std::string(R"({"schema": "apb-validation", "version": 1, "title": "t", "source": "s",
"machine": "H100", "model": "llama-3.1-8b", "captured": )") +
         (captured ? "true" : "false") + R"(,
"bounds": {"mean_error": 9, "worst_error": 9}, )" +
         rows + "}";
}

Replay replayed(const std::string& rows, bool captured = true) {
  const TemporaryFolder folder;
  write_whole_file(folder.file("set.json"), set_of(rows, captured));
  const ValidationSet set = read_validation_set(folder.file("set.json"));
  return replay(set, MachineModel(find_machine(set.machine)), llama_8b());
}

std::string layer(const std::string& method, const std::string& more) {
  return R"({"method": ")" + method + R"(", "ranks": 2, "doc_len": 65536, "ms": 75)" + more + "}";
}

TEST_CASE("a layer with its exchanges takes a prefill's share", "[validation]") {
  const std::string with = R"(, "with_exchanges": true)", serial = R"(, "overlap": 0)";
  const Replay result = replayed(
      R"("layers": [)" + layer("all_gather", "") + "," + layer("all_gather", with) + "," +
      layer("zigzag_ring", with + R"(, "overlap": 1)") + "," + layer("zigzag_ring", with + serial) +
      R"(], "prefill": [{"method": "all_gather", "ranks": 2, "doc_len": 65536, "seconds": 2.4}])");
  REQUIRE(result.cells.size() == 5);
  const auto ms = [&](std::size_t cell) { return 1e3 * result.cells[cell].predicted.number; };
  CHECK(std::abs(ms(0) / 32 - ms(2)) < 1e-9 * ms(2));  // the prefill comes first
  CHECK(ms(1) < ms(2));
  CHECK(ms(3) < ms(4));  // a ring that waits for its messages
  CHECK(result.cells[2].measured->number == 0.075);
}

TEST_CASE("parts by events: launches and selection are not among the others", "[validation]") {
  const std::string row =
      R"("parts": [{"method": "apb", "ranks": 2, "doc_len": 65536, "anchor_len": 8192,
          "num_kept": 4096, "parts_ms": {"others": 2, "selection": 1}}])";
  const Replay result = replayed(row);
  REQUIRE(result.parts.size() == 2);
  CHECK(result.parts[0].part == "others");
  const Replay eager = replayed(row, false);  // there they hold both
  CHECK(result.parts[0].predicted + result.parts[1].predicted < eager.parts[0].predicted);
  CHECK(result.parts[0].predicted.number > 0);
  CHECK(result.parts[1].predicted.number > 0);
}

TEST_CASE("what a measured layer cannot be", "[validation]") {
  const auto refused = [](const std::string& more) {
    return refusal([&] { (void)replayed(R"("layers": [)" + layer("apb", more) + "]"); });
  };
  CHECK(refused(R"(, "overlap": 2)").ends_with("layers[0].overlap = 2: must be 0 to 1"));
  CHECK(refused(R"(, "with_exchanges": 1)").find("layers[0].with_exchanges = 1") !=
        std::string::npos);
}

}  // namespace
}  // namespace apb::sim
