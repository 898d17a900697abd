#include "reference/cli/tool_main.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "reference/cli/launcher_environment.hpp"
#include "reference/core/memory.hpp"

namespace apb {
namespace {

/// Says why, and returns the status.
ExitStatus fail(const CLI::App& app, ExitStatus status, std::string_view line) {
  std::fflush(stdout);
  if (speaks_for_run() && !line.empty()) fmt::print(stderr, "{}: {}\n", app.get_name(), line);
  return status;
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

}  // namespace

int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work,
              const std::function<int(ExitStatus)>& exit_code) {
  keep_freed_memory();
  try {
    app.parse(argc, argv);
    refuse_empty_values(app);
    const ExitStatus status = work();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw CannotRun("standard output cannot be written");
    }
    return exit_code(status);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return exit_code(fail(app, ExitStatus::kBadInput,
                          fmt::format("{} (see {} --help)", error.what(), app.get_name())));
  } catch (const Error& error) {
    return exit_code(fail(app, error.status(), error.what()));
  } catch (const std::bad_alloc&) {
    return exit_code(fail(app, ExitStatus::kCannotRun, "out of memory"));
  } catch (const std::exception& error) {
    return exit_code(
        fail(app, ExitStatus::kCannotRun, fmt::format("internal error: {}", error.what())));
  }
}

}  // namespace apb
