#pragma once
/// \file
/// What the fuzzer's bytes mean: a few changes to a valid file. Random bytes would only test
/// libhdf5, which crashes on many of them; edits keep the file well-formed HDF5 and reach our own
/// checks behind it.

#include <cstdint>
#include <span>
#include <vector>

namespace apb {

/// The kinds of edits, grouped by what Edit::which counts.
enum class EditKind : std::uint8_t {
  // attributes
  kAttributeNumber,  ///< another integer or double
  kAttributeText,    ///< a string, known or odd, stored in one of several ways
  kAttributeList,    ///< a list of integers
  kAttributeType,    ///< another type and dataspace
  kRemoveAttribute,
  kRenameAttribute,
  // datasets
  kElement,         ///< one other value
  kDatasetType,     ///< another type, the same values
  kDatasetShape,    ///< another rank or other extents, huge ones too
  kDatasetStorage,  ///< chunked, compressed, never written, elsewhere, …
  // links to datasets and groups
  kRemoveLink,
  kRenameLink,
  kRedirectLink,   ///< soft, hard or external, perhaps in a circle
  kReplaceObject,  ///< by an object of another class
};
inline constexpr std::uint8_t kNumEditKinds = 14;

/// One change. Every value of every field means something, so that any mutation of the bytes is
/// another edit.
struct Edit {
  EditKind kind = EditKind::kAttributeNumber;
  std::uint8_t which = 0;    ///< attribute, dataset or link, modulo their number
  std::uint8_t variant = 0;  ///< how, modulo the number of ways
  std::uint8_t place = 0;    ///< element, axis, or another object
  std::int64_t value = 0;
};

struct EditScript {
  std::uint8_t seed_file = 0;  ///< modulo their number
  std::vector<Edit> edits;
};

/// Any bytes are a script: one for the seed file, then twelve an edit (kind, which, variant, place,
/// value as a little-endian int64). An incomplete last edit and all beyond the eighth are ignored.
[[nodiscard]] EditScript decode_script(std::span<const std::uint8_t> bytes);

/// The integer that an edit puts in place of an old one: near it, small, an edge, or any.
[[nodiscard]] std::int64_t new_integer(const Edit& edit, std::int64_t old);
/// The same for a floating-point number: special, of few bits, or any; a NaN is the usual one.
[[nodiscard]] double new_real(const Edit& edit);

}  // namespace apb
