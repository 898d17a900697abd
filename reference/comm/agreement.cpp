#include "reference/comm/agreement.hpp"

#include <algorithm>

namespace apb {
namespace {

std::vector<std::string> gather_lines(Communicator& world, const std::string& own) {
  const std::vector<std::size_t> one_each(static_cast<std::size_t>(world.num_ranks()), 1);
  const std::size_t own_length = own.size();
  const auto lengths = world.all_gather<std::size_t>({&own_length, 1}, one_each);
  const auto letters = world.all_gather<char>(own, lengths);
  std::vector<std::string> lines;
  auto letter = letters.begin();
  for (const std::size_t length : lengths) {
    const auto end = letter + static_cast<std::ptrdiff_t>(length);
    lines.emplace_back(letter, end);
    letter = end;
  }
  return lines;
}

/// Whether this rank is the lowest that has its line, which is not empty.
bool is_first_to_say(const std::vector<std::string>& lines, int rank) {
  const std::string& own = lines[static_cast<std::size_t>(rank)];
  return !own.empty() && std::find(lines.begin(), lines.end(), own) == lines.begin() + rank;
}

}  // namespace

ExitStatus agree(Communicator& world, const Failure& own,
                 const std::function<void(const std::string&)>& say) {
  const std::vector<std::size_t> one_each(static_cast<std::size_t>(world.num_ranks()), 1);
  const auto own_status = static_cast<int>(own.status);
  const auto gather = [&] { return world.all_gather<int>({&own_status, 1}, one_each); };
  const std::vector<int> statuses = gather();
  const auto first = std::ranges::find_if(
      statuses, [](int status) { return status != static_cast<int>(ExitStatus::kRight); });
  if (first == statuses.end()) return ExitStatus::kRight;

  const std::vector<std::string> lines = gather_lines(world, own.line);
  if (is_first_to_say(lines, world.rank())) {
    const bool by_all = std::ranges::count(lines, own.line) == world.num_ranks();
    say(by_all ? own.line : fmt::format("rank {}: {}", world.rank(), own.line));
  }
  (void)gather();  // everybody has spoken
  return static_cast<ExitStatus>(*first);
}

}  // namespace apb
