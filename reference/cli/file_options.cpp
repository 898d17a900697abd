#include "reference/cli/file_options.hpp"

#include <array>
#include <filesystem>
#include <vector>

#include "reference/cli/installed_files.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

namespace fs = std::filesystem;

// The mark is what --help shows as the option's value.
constexpr const char* kRead = "INPUT";
constexpr const char* kWritten = "OUTPUT";

/// An option and one of its files.
struct OptionFile {
  std::string option;
  std::string path;
};

std::vector<std::string> values_of(const CLI::Option& option) {
  if (option.count() > 0) return option.results();
  const std::string by_default = option.get_default_str();
  return by_default.empty() ? std::vector<std::string>{} : std::vector{by_default};
}

/// The files of all options with a mark, of the command and of the subcommand that was given.
std::vector<OptionFile> files_of(const CLI::App& app, const std::string& mark) {
  std::vector<OptionFile> files;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_type_name() != mark) continue;
    for (const std::string& value : values_of(*option)) {
      files.push_back({option->get_name(), value});
      if (mark == kWritten || value.ends_with(".json")) continue;
      for (const char* folder : {"machines", "models", "quality", "validation"}) {
        files.push_back(
            {option->get_name(), own_file(fmt::format("configs/{}/{}.json", folder, value))});
      }
    }
  }
  for (const CLI::App* command : app.get_subcommands()) {
    for (OptionFile& file : files_of(*command, mark)) files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

CLI::Option* reads_files(CLI::Option* option, const std::string& default_path) {
  option->type_name(kRead);
  if (!default_path.empty()) option->default_str(default_path);
  return option;
}

CLI::Option* writes_file(CLI::Option* option) {
  return option->type_name(kWritten);
}

void require_inputs_kept(const CLI::App& app) {
  const std::vector<OptionFile> read = files_of(app, kRead);
  for (const OptionFile& out : files_of(app, kWritten)) {
    for (const OptionFile& in : read) {
      std::error_code not_there;
      if (!fs::equivalent(out.path, in.path, not_there) || not_there) continue;
      throw BadInput(fmt::format("{}: {} is what {} reads: must be another file", out.option,
                                 out.path, in.option));
    }
  }
}

}  // namespace apb
