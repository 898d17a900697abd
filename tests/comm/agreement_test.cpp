// What ranks of which some cannot take part say, and how they end.

#include "reference/comm/agreement.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/local_ranks.hpp"

namespace apb {
namespace {

struct End {
  ExitStatus status = ExitStatus::kRight;
  std::string line;  ///< that the rank has said
};

std::vector<End> agreed(const std::vector<Failure>& own) {
  std::atomic<int> said = 0;
  int wanted = 0;
  std::vector<std::string> different;
  for (const Failure& failure : own) {
    if (failure.line.empty() || std::ranges::count(different, failure.line) > 0) continue;
    different.push_back(failure.line);
    ++wanted;
  }
  return on_local_ranks(static_cast<int>(own.size()), [&](Communicator& world) {
    End end;
    const auto say = [&](const std::string& line) {
      end.line += line;
      ++said;
    };
    end.status = agree(world, own[static_cast<std::size_t>(world.rank())], say);
    if (said != wanted) throw std::logic_error("a rank returns before all is said");
    return end;
  });
}

std::vector<std::string> lines_of(const std::vector<End>& ends) {
  std::vector<std::string> lines;
  for (const End& end : ends) lines.push_back(end.line);
  return lines;
}

const Failure kMissing{ExitStatus::kBadInput, "text: no such file"};
const Failure kNoPython{ExitStatus::kCannotRun, "no python3"};
const Failure kSaidAlready{ExitStatus::kBadInput, ""};

TEST_CASE("nobody fails", "[agreement]") {
  for (const End& end : agreed({{}, {}, {}})) {
    CHECK(end.status == ExitStatus::kRight);
    CHECK(end.line.empty());
  }
}

TEST_CASE("all end as the lowest rank that failed", "[agreement]") {
  const auto status_of = [](const std::vector<Failure>& own) {
    const auto ends = agreed(own);
    for (const End& end : ends) CHECK(end.status == ends.front().status);
    return ends.front().status;
  };
  CHECK(status_of({{}, kMissing, {}}) == ExitStatus::kBadInput);
  CHECK(status_of({{}, kNoPython, kMissing}) == ExitStatus::kCannotRun);
  CHECK(status_of({kMissing, kNoPython}) == ExitStatus::kBadInput);
  CHECK(status_of({{}, {}, kSaidAlready}) == ExitStatus::kBadInput);
}

TEST_CASE("each line is said once, by the lowest rank that has it", "[agreement]") {
  using Lines = std::vector<std::string>;
  CHECK(lines_of(agreed({kMissing, kMissing, kMissing})) == Lines{"text: no such file", "", ""});
  CHECK(lines_of(agreed({{}, kMissing, kMissing})) == Lines{"", "rank 1: text: no such file", ""});
  CHECK(lines_of(agreed({kNoPython, kMissing, kNoPython})) ==
        Lines{"rank 0: no python3", "rank 1: text: no such file", ""});
  CHECK(lines_of(agreed({{}, kSaidAlready, kMissing})) ==
        Lines{"", "", "rank 2: text: no such file"});
  CHECK(lines_of(agreed({kMissing})) == Lines{"text: no such file"});
}

}  // namespace
}  // namespace apb
