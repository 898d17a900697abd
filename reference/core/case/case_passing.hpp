#pragma once
/// \file
/// The passing blocks of a case file: derived from the lower ranks, or checked against them.

#include "reference/core/case/case_file.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {

/// Reads or derives the passing block of every rank of a case, whose other inputs are there.
/// \param layout of all ranks, in the file or not
/// \throws BadInput if one is missing, cannot be, or is not what the lower ranks in the file keep
void complete_passing(const Hdf5Reader& file, const BlockLayout& layout, CaseFile& case_file);

/// \throws BadInput if a list of positions does not ascend inside [begin, end)
/// \param name of the dataset row
void require_ascending(const Hdf5Reader& file, const std::string& name,
                       std::span<const Index> positions, Index begin, Index end);

}  // namespace apb
