// Edits of attributes: each is taken away and made anew.

#include <hdf5.h>

#include <array>
#include <cstring>

#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/fuzz/edited_file.hpp"
#include "tests/fuzz/stored_types.hpp"

namespace apb {
namespace {

using namespace std::string_literals;

/// What the readers know, and what no reader should trip over.
const std::array kTexts{"apb-case"s,
                        "full"s,
                        "star"s,
                        "apb"s,
                        "none"s,
                        "random"s,
                        "recent"s,
                        "query_aware"s,
                        "retaining_head"s,
                        "paper"s,
                        "official"s,
                        "float64"s,
                        "float32"s,
                        "bfloat16"s,
                        "float16"s,
                        ""s,
                        "two\nlines"s,
                        "apb\0none"s,
                        "{}"s,
                        "\x1b[2J\xff\x7f"s,
                        std::string(3000, 'x')};

struct AttributeName {
  std::string object;
  std::string name;
};

/// "/rank_0/anchor_rows" -> "/rank_0", "anchor_rows"
AttributeName parts_of(const std::string& attribute) {
  const std::size_t slash = attribute.rfind('/');
  return {slash == 0 ? "/" : attribute.substr(0, slash), attribute.substr(slash + 1)};
}

/// \param memory_type,values what is handed to the library; must be as many as the space has
void replace(hid_t file, const AttributeName& at, hid_t type, hid_t space, hid_t memory_type,
             const void* values) {
  H5Adelete_by_name(file, at.object.c_str(), at.name.c_str(), H5P_DEFAULT);
  const Hdf5Id made(H5Acreate_by_name(file, at.object.c_str(), at.name.c_str(), type, space,
                                      H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                    H5Aclose);
  if (made.valid()) H5Awrite(made.get(), memory_type, values);
}

void replace_number(hid_t file, const AttributeName& at, const Edit& edit) {
  const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Id old(
      H5Aopen_by_name(file, at.object.c_str(), at.name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose);
  if (!old.valid()) return;
  const Hdf5Id type(H5Aget_type(old.get()), H5Tclose);
  if (H5Tget_class(type.get()) == H5T_FLOAT) {
    const double value = new_real(edit);
    replace(file, at, H5T_NATIVE_DOUBLE, space.get(), H5T_NATIVE_DOUBLE, &value);
    return;
  }
  std::int64_t value = 0;
  const Hdf5Id old_space(H5Aget_space(old.get()), H5Sclose);
  if (H5Sget_simple_extent_npoints(old_space.get()) == 1) {
    H5Aread(old.get(), H5T_NATIVE_INT64, &value);
  }
  value = new_integer(edit, value);
  replace(file, at, H5T_NATIVE_INT64, space.get(), H5T_NATIVE_INT64, &value);
}

void replace_text(hid_t file, const AttributeName& at, const Edit& edit) {
  const std::string& text = kTexts[edit.variant % kTexts.size()];
  const int storage = edit.place % 4;
  const Hdf5Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose);
  if (storage == 0) {
    H5Tset_size(type.get(), H5T_VARIABLE);
    const char* address = text.c_str();
    replace(file, at, type.get(), space.get(), type.get(), static_cast<const void*>(&address));
    return;
  }
  // Terminated; filling the type, so without an end; padded with spaces.
  const std::size_t size = text.size() + (storage == 1 || text.empty() ? 1 : 0);
  H5Tset_size(type.get(), size);
  if (storage == 3) H5Tset_strpad(type.get(), H5T_STR_SPACEPAD);
  replace(file, at, type.get(), space.get(), type.get(), text.c_str());
}

void replace_list(hid_t file, const AttributeName& at, const Edit& edit) {
  const hsize_t count = edit.place % 6;
  std::vector<std::int64_t> values(6);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = edit.variant % 4 == 0 ? static_cast<std::int64_t>(i)
                                      : new_integer(edit, static_cast<std::int64_t>(i));
  }
  const Hdf5Id space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  replace(file, at, H5T_NATIVE_INT64, space.get(), H5T_NATIVE_INT64, values.data());
}

Hdf5Id attribute_space(int number) {
  constexpr std::array<hsize_t, 3> kTwo{2, 1, 1};
  constexpr std::array<hsize_t, 3> kOne{1, 1, 1};
  constexpr hsize_t kNone = 0;
  switch (number % 6) {
    case 0:
      return {H5Screate(H5S_SCALAR), H5Sclose};
    case 1:
      return {H5Screate(H5S_NULL), H5Sclose};
    case 2:
      return {H5Screate_simple(1, &kNone, nullptr), H5Sclose};
    case 3:
      return {H5Screate_simple(3, kOne.data(), nullptr), H5Sclose};
    case 4:
      return {H5Screate_simple(1, kOne.data(), nullptr), H5Sclose};
    default:
      return {H5Screate_simple(2, kTwo.data(), nullptr), H5Sclose};
  }
}

void replace_type(hid_t file, const AttributeName& at, const Edit& edit) {
  const Hdf5Id type = stored_type(edit.variant);
  const Hdf5Id space = attribute_space(edit.place);
  const hid_t numbers = number_type(type.get());
  constexpr std::size_t kMostBytes = 2 * 32;  // two values of the largest type
  std::array<char, kMostBytes> room{};        // zeros are a value of every other type
  if (numbers == H5T_NATIVE_INT64) {
    std::memcpy(room.data(), &edit.value, sizeof(edit.value));
  } else if (numbers >= 0) {
    const double value = new_real(edit);
    std::memcpy(room.data(), &value, sizeof(value));
  }
  replace(file, at, type.get(), space.get(), numbers < 0 ? type.get() : numbers, room.data());
}

}  // namespace

void edit_attribute(hid_t file, const std::string& attribute, const Edit& edit) {
  const AttributeName at = parts_of(attribute);
  switch (edit.kind) {
    case EditKind::kAttributeNumber:
      return replace_number(file, at, edit);
    case EditKind::kAttributeText:
      return replace_text(file, at, edit);
    case EditKind::kAttributeList:
      return replace_list(file, at, edit);
    case EditKind::kAttributeType:
      return replace_type(file, at, edit);
    case EditKind::kRemoveAttribute:
      H5Adelete_by_name(file, at.object.c_str(), at.name.c_str(), H5P_DEFAULT);
      return;
    default:
      H5Arename_by_name(file, at.object.c_str(), at.name.c_str(), (at.name + "_").c_str(),
                        H5P_DEFAULT);
  }
}

}  // namespace apb
