#pragma once
/// \file
/// One input of the fuzzer, from its bytes to a verdict.

#include "tests/fuzz/edit_script.hpp"

namespace apb {

enum class Reading { kRead, kRefused };

/// Writes the edited file, reads it as the tools do after their first look, and checks the result:
/// BadInput of one line, or a sound case or candidate that is the same when written and read again.
/// Not in a program that has a TemporaryFolder of its own. \throws BrokenContract, or what a reader
/// must not throw
Reading read_edited(const EditScript& script);

}  // namespace apb
