// apb sim sweep: a grid of configurations, and its Pareto front.

#include <fmt/ranges.h>

#include <memory>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/sweep.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

constexpr Index kMostPoints = 20'000'000;

struct SweepOptions {
  Question question;
  std::vector<std::string> methods;
  std::vector<std::string> models;
  std::vector<double> nic_gbytes_per_s;
  std::vector<double> link_factors{1};
  double price = 0;
  std::string quality;
};

/// The grid: a number is a point, the last list counts fastest.
class Grid {
 public:
  explicit Grid(const SweepOptions& options) : options_(options) {
    for (const std::string& name : options.methods) methods_.push_back(parse_sim_method(name));
    if (methods_.empty()) {
      for (const SimMethodEntry& entry : kSimMethods) methods_.push_back(entry.method);
    }
    const std::vector<std::string> models =
        options.models.empty() ? std::vector{options.question.model} : options.models;
    for (const std::string& name : models) models_.push_back(model_of(name));
    tokens_ = parse_token_list(options.question.tokens, "tokens");
    const MachineProfile machine = machine_of(options.question).profile();
    std::vector<double> nics = options.nic_gbytes_per_s;
    if (nics.empty()) nics.push_back(machine.nic_bytes_per_s.number / 1e9);
    for (const double nic : nics) {
      for (const double factor : options.link_factors) {
        machines_.emplace_back(with_network(machine, factor, nic));
      }
    }
  }

  [[nodiscard]] Index size() const {
    Index points = 1;
    for (const std::size_t count : counts()) {
      if (__builtin_mul_overflow(points, static_cast<Index>(count), &points) ||
          points > kMostPoints) {
        throw BadInput("command line", "grid", "this one",
                       fmt::format("at most {} points", with_separators(kMostPoints)));
      }
    }
    return points;
  }
  [[nodiscard]] const MachineModel& machine(Index point) const {
    return machines_[digits(point)[0]];
  }
  [[nodiscard]] const MachineModel& first_machine() const { return machines_.front(); }
  /// Model and length, as one number.
  [[nodiscard]] Index prompt(Index point) const {
    const auto digit = digits(point);
    return static_cast<Index>(digit[1] * tokens_.size() + digit[3]);
  }
  [[nodiscard]] Job job(Index point) const {
    const auto digit = digits(point);
    return job_of(options_.question, models_[digit[1]], methods_[digit[2]], tokens_[digit[3]],
                  options_.question.ranks[digit[4]], options_.question.anchor[digit[5]],
                  options_.question.keep[digit[6]]);
  }

 private:
  static MachineProfile with_network(MachineProfile profile, double link_factor,
                                     double nic_gbytes_per_s) {
    profile.nic_bytes_per_s.number = 1e9 * nic_gbytes_per_s;
    profile.link_bytes_per_s.number *= link_factor;
    for (CollectiveTable& table : profile.collectives) {
      for (CollectivePoint& point : table.points) point.time = (1 / link_factor) * point.time;
    }
    return profile;
  }
  [[nodiscard]] std::array<std::size_t, 7> counts() const {
    return {machines_.size(),
            models_.size(),
            methods_.size(),
            tokens_.size(),
            options_.question.ranks.size(),
            options_.question.anchor.size(),
            options_.question.keep.size()};
  }
  [[nodiscard]] std::array<std::size_t, 7> digits(Index point) const {
    const auto bases = counts();
    std::array<std::size_t, 7> digit{};
    auto rest = static_cast<std::size_t>(point);
    for (std::size_t i = bases.size(); i-- > 0;) {
      digit.at(i) = rest % bases.at(i);
      rest /= bases.at(i);
    }
    return digit;
  }

  const SweepOptions& options_;
  std::vector<MachineModel> machines_;
  std::vector<ModelSizes> models_;
  std::vector<SimMethod> methods_;
  std::vector<Index> tokens_;
};

std::vector<std::string> cells_of(const Grid& grid, Index index, const SweepPoint& point,
                                  bool exact_numbers) {
  const Job job = grid.job(index);
  const MachineProfile& machine = grid.machine(index).profile();
  const ApbConfig& lengths = job.lengths;
  const auto number = [&](double value) {
    return exact_numbers ? fmt::format("{}", value) : fmt::format("{:.3g}", value);
  };
  const Band band = band_around(Seconds(point.seconds), point.spread);
  return {std::string(entry_of(job.method).name),
          job.model.name,
          std::to_string(lengths.doc_len),
          std::to_string(lengths.num_ranks),
          std::to_string(lengths.anchor_len),
          std::to_string(lengths.num_kept),
          number(machine.link_bytes_per_s.number / 1e9),
          number(machine.nic_bytes_per_s.number / 1e9),
          std::to_string(point.gpus),
          number(point.seconds),
          number(band.p10.number),
          number(band.p90.number),
          number(point.cost),
          point.quality >= 0 ? number(point.quality) : "",
          std::string(to_string(point.fit))};
}

const std::vector<std::string> kHeader{"method",
                                       "model",
                                       "doc_len",
                                       "ranks",
                                       "anchor_len",
                                       "num_kept",
                                       "link_GB_per_s",
                                       "nic_GB_per_s",
                                       "gpus",
                                       "time_to_first_token_s",
                                       "p10_s",
                                       "p90_s",
                                       "cost_per_million_tokens",
                                       "quality",
                                       "fit"};

ExitStatus run_sweep(const SweepOptions& options) {
  const Grid grid(options);
  std::optional<QualityTable> quality;
  if (!options.quality.empty()) quality = find_quality_table(options.quality);
  SweepRequest request;
  request.num_points = grid.size();
  request.job_of = [&](Index point) { return grid.job(point); };
  request.price_per_gpu_hour = options.price;
  if (quality) request.quality = &*quality;
  Progress progress("sweep", request.num_points, Progress::on_terminal(), "point");
  constexpr Index kQuietBelow = 100'000;  // done in a second
  if (request.num_points >= kQuietBelow) {
    request.progress = [&](Index done) { progress.done(done); };
  }
  const std::vector<SweepPoint> points =
      sweep([&](Index point) -> const MachineModel& { return grid.machine(point); }, request);
  progress.clear();
  const std::vector<Index> front =
      pareto_front(points, [&](Index point) { return grid.prompt(point); });

  const auto runs =
      std::count_if(points.begin(), points.end(), [](const SweepPoint& p) { return p.runs; });
  if (!options.question.html.empty()) {
    write_sweep_page(options.question, grid.first_machine(), points, front,
                     [&](Index point) { return grid.job(point); });
  }
  if (options.question.csv) {
    fmt::print("{}", Table{kHeader, {}}.csv());
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (!points[i].runs) continue;
      const auto index = static_cast<Index>(i);
      fmt::print("{}", fmt::format("{}\n", fmt::join(cells_of(grid, index, points[i], true), ",")));
    }
    return ExitStatus::kRight;
  }
  if (options.question.json) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const Index index : front) {
      const SweepPoint& point = points[static_cast<std::size_t>(index)];
      nlohmann::ordered_json row{
          {"job", to_json(grid.job(index))},
          {"band", to_json(band_around(Seconds(point.seconds), point.spread))},
          {"cost_per_million_tokens", point.cost},
          {"fit", to_string(point.fit)}};
      row["quality"] = point.quality >= 0 ? nlohmann::ordered_json(point.quality)
                                          : nlohmann::ordered_json(nullptr);
      rows.push_back(std::move(row));
    }
    const nlohmann::ordered_json report{{"schema", "apb-sim-sweep"},
                                        {"version", 1},
                                        {"machine", grid.first_machine().profile().name},
                                        {"points", points.size()},
                                        {"run", runs},
                                        {"pareto_front", rows}};
    fmt::print("{}\n", report.dump(2));
    return ExitStatus::kRight;
  }
  fmt::print("{}: {} configurations, {} run and fit. Nothing beats these:\n\n",
             grid.first_machine().profile().title,
             with_separators(static_cast<Index>(points.size())), with_separators(runs));
  Table table{kHeader, {}};
  for (const Index index : front) {
    table.rows.push_back(cells_of(grid, index, points[static_cast<std::size_t>(index)], false));
  }
  fmt::print("{}", table.text());
  if (quality)
    fmt::print("\nquality: {}. {}; {}\n", quality->title, quality->metric, quality->source);
  return ExitStatus::kRight;
}

}  // namespace

void add_sweep_command(CLI::App& sim, Work& work) {
  const auto options = std::make_shared<SweepOptions>();
  CLI::App* command =
      sim.add_subcommand("sweep", "a grid of configurations and what nothing beats in it");
  add_question_options(*command, options->question, Lists::kMany);
  command->add_option("--methods", options->methods, "of " + sim_method_names() + " (default: all)")
      ->delimiter(',');
  reads_files(
      command->add_option("--models", options->models, "several models, instead of --model"))
      ->delimiter(',')
      ->excludes("--model");
  command
      ->add_option("--nics-gbs", options->nic_gbytes_per_s,
                   "several speeds of a network card, GB/s, instead of --nic-gbs")
      ->check(real_number(1e-3, 1e6))
      ->delimiter(',')
      ->excludes("--nic-gbs");
  command->add_option("--links", options->link_factors, "links inside a node, times the machine's")
      ->check(real_number(1e-3, 1e3))
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--price", options->price, "of a GPU hour, in your money")
      ->check(real_number(0, 1e9));
  reads_files(command->add_option("--quality", options->quality,
                                  "a table in configs/quality, or a .json file"));
  add_output_options(*command, options->question, true, true);
  command->callback([options, command, &work] {
    options->question.typed = options_as_typed(*command);
    work = [options] { return run_sweep(*options); };
  });
}

}  // namespace apb::sim
