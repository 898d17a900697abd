// nccl-tests prints '#' lines (devices, header, summary) and rows of numbers under a header whose
// columns have changed over the years: they are found by their names.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <sstream>

#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/calibrate/measurements.hpp"

namespace apb::sim {
namespace {

using Words = std::vector<std::string>;

Words words_of(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

struct Program {
  std::string_view name;
  std::optional<CollectiveKind> kind;
};
constexpr std::array<Program, 10> kPrograms{{
    {"all_gather_perf", CollectiveKind::kAllGather},
    {"alltoall_perf", CollectiveKind::kAllToAll},
    {"all_reduce_perf", CollectiveKind::kAllReduce},
    {"sendrecv_perf", CollectiveKind::kSendReceive},
    {"reduce_scatter_perf", {}},
    {"broadcast_perf", {}},
    {"reduce_perf", {}},
    {"gather_perf", {}},
    {"scatter_perf", {}},
    {"hypercube_perf", {}},
}};

class NcclTestsReader {
 public:
  NcclTestsReader(std::string path, const NcclTestsHints& hints)
      : path_(std::move(path)), hints_(hints) {}

  void read() {
    std::istringstream text(read_whole_file(path_));
    for (std::string line; std::getline(text, line);) {
      ++line_;
      find_program(line);
      const Words words = words_of(line);
      if (words.empty()) continue;
      if (words[0] == "#") {
        read_comment(words);
      } else if (time_column_ > 0) {
        read_row(words);
      }
    }
    if (times_.empty()) throw BadInput(path_ + ": holds no measurement of nccl-tests");
  }

  void put(Measurements& into) const {
    const Index ranks = hints_.num_ranks > 0 ? hints_.num_ranks : static_cast<Index>(ranks_.size());
    const Index nodes = hints_.num_nodes > 0
                            ? hints_.num_nodes
                            : std::max<Index>(1, static_cast<Index>(hosts_.size()));
    if (!kind_ && !hints_.kind) {
      throw BadInput(path_ +
                     ": no line names the program (all_gather_perf, ...): say --collective");
    }
    if (ranks < 2) {
      throw BadInput(path_ + ": lists fewer than 2 ranks: say --ranks (and --nodes)");
    }
    if (ranks % nodes != 0) {
      throw BadInput(path_, "ranks", ranks, fmt::format("a multiple of the {} nodes", nodes));
    }
    CollectiveTable& table = into.collective_of(hints_.kind ? *hints_.kind : *kind_, ranks, nodes);
    for (const auto& [size, times] : times_) {
      // Repeated sizes are runs of the same: their mean.
      double sum = 0;
      for (const double time_us : times) sum += time_us;
      table.points.push_back(
          {Bytes(size), Seconds(sum / static_cast<double>(times.size()) * 1e-6)});
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw BadInput(fmt::format("{}: line {}: {}", path_, line_, why));
  }

  void find_program(const std::string& line) {
    const std::size_t end = line.find("_perf");
    if (kind_ || hints_.kind || end == std::string::npos) return;
    std::size_t begin = end;
    while (begin > 0 && (std::isalpha(static_cast<unsigned char>(line[begin - 1])) != 0 ||
                         line[begin - 1] == '_')) {
      --begin;
    }
    const std::string name = line.substr(begin, end + 5 - begin);
    const auto* found = std::ranges::find(kPrograms, name, &Program::name);
    if (found == kPrograms.end()) return;
    if (!found->kind) refuse(name + " is no collective that a prefill uses");
    kind_ = found->kind;
  }

  /// "#  Rank  0 Group  0 Pid 4962 on host device  0 [0x07] NVIDIA ...", or the header.
  void read_comment(const Words& words) {
    if (words.size() > 3 && words[1] == "Rank") {
      const auto on = std::ranges::find(words, "on");
      if (on == words.end() || on + 1 == words.end()) return;
      if (!ranks_.insert(words[2]).second) {
        refuse(
            fmt::format("rank {} a second time: these are separate runs of one GPU each "
                        "(nccl-tests built without MPI?)",
                        words[2]));
      }
      hosts_.insert(*(on + 1));
    } else if (words.size() > 4 && words[1] == "size") {
      const auto column = [&](const char* name) {
        return static_cast<std::size_t>(std::ranges::find(words, name) - words.begin()) - 1;
      };
      time_column_ = column("time");  // the first one is out of place
      wrong_column_ = std::min(column("#wrong"), column("error"));
    }
  }

  void read_row(const Words& words) {
    double size = 0;
    const auto number = [&](std::size_t column, double& value) {
      const std::string& word = words.at(column);
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      return error == std::errc() && end == word.data() + word.size();
    };
    if (!number(0, size)) return;  // a log line in between
    if (words.size() <= std::max(time_column_, wrong_column_)) refuse("a row without its time");
    double time_us = 0;
    if (!number(time_column_, time_us) || !(time_us > 0)) {
      refuse(fmt::format("time = {}: must be a positive number", words[time_column_]));
    }
    double wrong = 0;
    if (number(wrong_column_, wrong) && wrong > 0.1) {  // old versions print a rounding error
      refuse(fmt::format("{} wrong values: the collective does not work", words[wrong_column_]));
    }
    if (size > 0) times_[size].push_back(time_us);
  }

  std::string path_;
  NcclTestsHints hints_;
  int line_ = 0;
  std::size_t time_column_ = 0;
  std::size_t wrong_column_ = 0;
  std::optional<CollectiveKind> kind_;
  std::set<std::string> ranks_;
  std::set<std::string> hosts_;
  std::map<double, std::vector<double>> times_;
};

}  // namespace

void read_nccl_tests(const std::string& path, const NcclTestsHints& hints, Measurements& into) {
  NcclTestsReader reader(path, hints);
  reader.read();
  reader.put(into);
}

}  // namespace apb::sim
