#pragma once
/// \file
/// What must hold of anything that a reader returned or threw, whatever the file was.

#include <stdexcept>
#include <string_view>

#include "reference/core/case/candidate_file.hpp"
#include "reference/core/case/case_file.hpp"

namespace apb {

/// A reader did what it must never do.
class BrokenContract : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// The configuration is valid, every tensor has the shape that the layout gives, positions are
/// where they may be. \throws BrokenContract
void require_sound(const CaseFile& case_file);
/// \copydoc require_sound
/// \param case_file the case that the candidate answers
void require_sound(const CandidateFile& candidate, const CaseFile& case_file);

/// One line that begins with the file's name. \throws BrokenContract
void require_one_line(std::string_view refusal, std::string_view path);

/// Nothing of a file is still open. \throws BrokenContract
void require_all_closed();

/// The case with the usual NaN in place of every other. Narrow types and storage as float keep that
/// a value is NaN, not which one: no promise of the format.
[[nodiscard]] CaseFile with_usual_nan(CaseFile case_file);

/// Whether two candidates hold the same, bit for bit.
[[nodiscard]] bool same_candidate(const CandidateFile& a, const CandidateFile& b);

}  // namespace apb
