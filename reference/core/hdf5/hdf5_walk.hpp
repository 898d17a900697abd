#pragma once
/// \file
/// Reads through what an HDF5 file holds under names that somebody reads.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace apb {

/// What a walk asks and tells.
struct Hdf5Watch {
  std::function<bool(std::string_view path)> is_read;       ///< whether to open a group or dataset
  std::function<void(const std::string& path)> on_object;   ///< before one is opened
  std::function<void(std::uint64_t bytes)> before_reading;  ///< before room is made for values
};

/// Reads all structure and attributes under the names that are read, the first value of contiguous
/// data, and all chunked data: in boxes of whole chunks, so that memory does not grow with the
/// dataset. The library may crash or never end if the file is broken.
/// \returns nothing if all could be read; else why the last object could not: empty if the file is
/// broken there
[[nodiscard]] std::optional<std::string> walk_hdf5(const std::string& path, const Hdf5Watch& watch);

}  // namespace apb
