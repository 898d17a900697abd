#pragma once
/// \file
/// Applies edits through libhdf5, so that the result is a well-formed HDF5 file.

#include "tests/fuzz/edit_script.hpp"
#include "tests/fuzz/seed_files.hpp"

namespace apb {

/// Writes a seed file with edits. An edit of what an earlier one took away does nothing, nor does
/// one that the library refuses.
void write_edited(const std::string& path, const SeedFile& seed, std::span<const Edit> edits);

/// One edit of an open file.
/// \param file       a file or group
/// \param attribute  "/rank_0/anchor_rows"
void edit_attribute(std::int64_t file, const std::string& attribute, const Edit& edit);
/// \copydoc edit_attribute
void edit_dataset(std::int64_t file, const std::string& dataset, const Edit& edit);
/// \copydoc edit_attribute
/// \param links names that objects are moved to or that links lead to
void edit_link(std::int64_t file, const std::string& link, const std::vector<std::string>& links,
               const Edit& edit);

}  // namespace apb
