#include "reference/cli/tool_main.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>

#include "reference/cli/file_options.hpp"
#include "reference/cli/launcher_environment.hpp"
#include "reference/core/keep_freed_memory.hpp"
#include "reference/core/standard_error.hpp"

namespace apb {
namespace {

/// Sees to it that no file is opened under the number of a standard stream that the caller has
/// closed, where lines for the user would be written into it. Standard output then refuses to be
/// written.
void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) != -1) continue;
    (void)open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);  // the lowest is free
  }
}

/// An option that was given without a value, as by a shell variable that is not set, must not count
/// as one that was not given.
void refuse_empty_values(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (std::ranges::count(option->results(), std::string()) > 0) {
      throw BadInput(
          fmt::format("{}: is empty (see {} --help)", option->get_name(), app.get_name()));
    }
  }
}

/// CLI11's line on words that it cannot turn into a number says which, not what is allowed.
std::string conversion_line(const CLI::App& app, const std::string& line) {
  const std::string begin = "Could not convert: ";
  const auto equals = line.find(" = ");
  if (!line.starts_with(begin) || equals == std::string::npos) return line;
  const std::string name = line.substr(begin.size(), equals - begin.size());
  const std::string word = line.substr(equals + 3);
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr) return line;
  const bool digits = word.find_first_not_of("0123456789") == std::string::npos;
  const bool fraction = option->get_type_name().starts_with("FLOAT");
  const bool several = option->get_items_expected_max() > 1;
  const std::string whole = fraction ? "" : "whole ";
  const std::string numbers = several ? whole + "numbers" : "a " + whole + "number";
  return fmt::format("{}: {}: must be {}", name, word, digits ? "smaller" : numbers);
}

/// How a command's work ended.
struct Outcome {
  ExitStatus status = ExitStatus::kRight;
  std::string line{};  ///< why, if it failed
};

/// \throws CLI::Success if only help was asked for
Outcome run_command(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work) {
  try {
    app.parse(argc, argv);
    refuse_empty_values(app);
    require_inputs_kept(app);
    const ExitStatus status = work();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw CannotRun("standard output cannot be written");
    }
    return {status};
  } catch (const CLI::Success&) {
    throw;
  } catch (const CLI::ConversionError& error) {
    return {ExitStatus::kBadInput,
            fmt::format("{} (see {} --help)", conversion_line(app, error.what()), app.get_name())};
  } catch (const CLI::ParseError& error) {
    return {ExitStatus::kBadInput, fmt::format("{} (see {} --help)", error.what(), app.get_name())};
  } catch (const Error& error) {
    return {error.status(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ExitStatus::kCannotRun, "out of memory"};
  } catch (const std::exception& error) {
    return {ExitStatus::kCannotRun, fmt::format("internal error: {}", error.what())};
  }
}

}  // namespace

int end_process(std::string_view program, ExitStatus status, const std::string& line) {
  std::fflush(stdout);
  if (!line.empty()) print_to_stderr(fmt::format("{}: {}\n", program, line));
  return static_cast<int>(status);
}

int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work,
              const Ending& end) {
  occupy_standard_streams();
  std::signal(SIGCHLD, SIG_DFL);  // ignored, as some callers hand it on, it hides how children end
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f then fails, and leaves no half file
  keep_freed_memory();
  try {
    const auto [status, line] = run_command(app, argc, argv, work);
    return end(app.get_name(), status, line);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const std::exception& error) {  // the ending itself failed
    return end_process(app.get_name(), ExitStatus::kCannotRun, error.what());
  }
}

int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work) {
  const auto alone = [&] {
    if (const auto process = launched_process()) {
      throw BadInput(fmt::format(
          "each of {} processes of an MPI run ({} is set) would do all of the work: start one "
          "process without mpirun",
          process->size ? std::to_string(*process->size) : "the", process->variable));
    }
    return work();
  };
  return tool_main(app, argc, argv, alone, end_process);
}

}  // namespace apb
