#include "reference/tools/tool_main.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <new>

#include "reference/core/memory.hpp"
#include "reference/tools/launch.hpp"

namespace apb {
namespace {

int fail(const CLI::App& app, ExitStatus status, std::string_view line) {
  std::fflush(stdout);
  if (speaks_for_run() && !line.empty()) fmt::print(stderr, "{}: {}\n", app.get_name(), line);
  return process_exit_code(status);
}

}  // namespace

int tool_main(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& work) {
  keep_freed_memory();
  try {
    app.parse(argc, argv);
    const ExitStatus status = work();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw CannotRun("standard output cannot be written");
    }
    return process_exit_code(status);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail(app, ExitStatus::kBadInput,
                fmt::format("{} (see {} --help)", error.what(), app.get_name()));
  } catch (const Error& error) {
    return fail(app, error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(app, ExitStatus::kCannotRun, "out of memory");
  } catch (const std::exception& error) {
    return fail(app, ExitStatus::kCannotRun, fmt::format("internal error: {}", error.what()));
  }
}

}  // namespace apb
