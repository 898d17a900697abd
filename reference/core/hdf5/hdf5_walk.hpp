#pragma once
/// \file
/// Reads through an HDF5 file, whatever is in it.

#include <cstdint>
#include <functional>
#include <string>

namespace apb {

/// What is told while a file is walked.
struct Hdf5Watch {
  std::function<void(const char* name)> on_object;          ///< before an object is opened
  std::function<void(std::uint64_t bytes)> before_reading;  ///< before room is made for values
};

/// Reads all structure and attributes, the first value of contiguous data, and all chunked data: in
/// boxes of whole chunks, so that memory does not grow with the dataset. The library may crash or
/// never end if the file is broken.
/// \returns whether all could be read
[[nodiscard]] bool walk_hdf5(const std::string& path, Hdf5Watch watch);

}  // namespace apb
