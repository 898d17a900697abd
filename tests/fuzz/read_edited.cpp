#include "tests/fuzz/read_edited.hpp"

#include "reference/core/error.hpp"
#include "tests/core/case/sample_case.hpp"
#include "tests/fuzz/edited_file.hpp"
#include "tests/fuzz/reader_contract.hpp"
#include "tests/fuzz/seed_files.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

void check_case(const std::string& path, const std::string& again) {
  const CaseFile case_file = with_usual_nan(read_case(path));
  require_sound(case_file);
  write_case(again, case_file);
  if (!same_case(with_usual_nan(read_case(again)), case_file))
    throw BrokenContract("a case changes when written");
}

void check_candidate(const std::string& path, const std::string& again, const CaseFile& case_file) {
  const CandidateFile candidate = read_candidate(path, case_file);
  require_sound(candidate, case_file);
  write_candidate(again, candidate);
  if (!same_candidate(read_candidate(again, case_file), candidate)) {
    throw BrokenContract("a candidate changes when written");
  }
}

Reading read_file(const std::string& path, const std::string& again, const SeedFile& seed) {
  try {
    if (seed.answers) {
      check_candidate(path, again, *seed.answers);
    } else {
      check_case(path, again);
    }
    return Reading::kRead;
  } catch (const BadInput& error) {
    require_one_line(error.what(), path);
    return Reading::kRefused;
  }
}

}  // namespace

Reading read_edited(const EditScript& script) {
  const std::vector<SeedFile>& seeds = seed_files();
  static const TemporaryFolder folder;
  const SeedFile& seed = seeds[script.seed_file % seeds.size()];
  const std::string path = folder.file("edited.h5");
  write_edited(path, seed, script.edits);
  const Reading reading = read_file(path, folder.file("again.h5"), seed);
  require_all_closed();
  return reading;
}

}  // namespace apb
