#include "reference/core/hdf5/hdf5_walk.hpp"

#include <hdf5.h>

#include <algorithm>
#include <vector>

#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {
namespace {

/// Values of a box are at most this many bytes, unless one chunk is more.
constexpr hsize_t kBoxBytes = hsize_t{16} << 20U;

/// The type that values of a class are read as; negative for classes that nobody here reads.
hid_t memory_type(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return H5T_NATIVE_DOUBLE;
    case H5T_INTEGER:
      return H5T_NATIVE_INT64;
    case H5T_STRING:
      return type;
    default:
      return -1;
  }
}

/// Room for `count` values of a type as they lie in memory.
std::vector<std::byte> room_for(hid_t type, hssize_t count) {
  return std::vector<std::byte>(H5Tget_size(type) * static_cast<std::size_t>(count));
}

/// Reads strings of variable length, which lie elsewhere in the file.
herr_t inspect_variable_strings(hid_t attribute, hid_t type, hid_t space) {
  std::vector<char*> texts(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  if (H5Aread(attribute, type, texts.data()) < 0) return -1;
  return H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts.data());
}

/// Reads an attribute, as its readers will.
herr_t inspect_attribute(hid_t object, const char* name) {
  const Hdf5Id attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) return -1;
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  if (H5Sget_simple_extent_npoints(space.get()) == 0) return 0;
  if (H5Tis_variable_str(type.get()) > 0) {
    return inspect_variable_strings(attribute.get(), type.get(), space.get());
  }
  const hid_t read_as = memory_type(type.get());
  if (read_as < 0) return 0;
  auto room = room_for(read_as, H5Sget_simple_extent_npoints(space.get()));
  return H5Aread(attribute.get(), read_as, room.data()) < 0 ? -1 : 0;
}

/// Reads one box of a dataset.
/// \param space what it is stored as, with the box selected
herr_t inspect_box(hid_t dataset, hid_t read_as, hid_t space, const Hdf5Watch& watch) {
  const hssize_t count = H5Sget_select_npoints(space);
  if (count < 0) return -1;
  const auto values = static_cast<hsize_t>(count);
  const Hdf5Id room_space(H5Screate_simple(1, &values, nullptr), H5Sclose);
  watch.before_reading(H5Tget_size(read_as) * values);
  auto room = room_for(read_as, count);
  return H5Dread(dataset, read_as, room_space.get(), space, H5P_DEFAULT, room.data()) < 0 ? -1 : 0;
}

/// Extents of the boxes that a chunked dataset is read in: whole chunks, so that each is unpacked
/// once, and as many as kBoxBytes hold.
std::vector<hsize_t> box_of_chunks(std::vector<hsize_t> box, const std::vector<hsize_t>& extents,
                                   hsize_t value_bytes) {
  double bytes = static_cast<double>(value_bytes);
  for (const hsize_t extent : box) bytes *= static_cast<double>(extent);
  for (std::size_t dim = box.size(); dim-- > 0;) {
    const double more = std::max(1.0, static_cast<double>(kBoxBytes) / bytes);
    const hsize_t chunks = (extents[dim] + box[dim] - 1) / box[dim];
    const auto taken = static_cast<hsize_t>(std::min(more, static_cast<double>(chunks)));
    box[dim] *= taken;
    bytes *= static_cast<double>(taken);
  }
  return box;
}

/// Reads all of a chunked dataset, box by box.
herr_t inspect_chunks(hid_t dataset, hid_t read_as, hid_t space, hid_t properties,
                      const Hdf5Watch& watch) {
  const auto num_dims = static_cast<std::size_t>(H5Sget_simple_extent_ndims(space));
  std::vector<hsize_t> extents(num_dims);
  std::vector<hsize_t> box(num_dims);
  H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  if (H5Pget_chunk(properties, static_cast<int>(num_dims), box.data()) < 0) return -1;
  if (std::ranges::count(box, hsize_t{0}) > 0) return -1;
  box = box_of_chunks(box, extents, H5Tget_size(read_as));
  std::vector<hsize_t> begin(num_dims, 0);
  std::vector<hsize_t> count(num_dims);
  for (std::size_t dim = 0; dim < num_dims;) {
    for (std::size_t d = 0; d < num_dims; ++d) count[d] = std::min(box[d], extents[d] - begin[d]);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr) <
            0 ||
        inspect_box(dataset, read_as, space, watch) < 0) {
      return -1;
    }
    // The next box: the first dimension that has one; those before it begin again.
    for (dim = 0; dim < num_dims; ++dim) {
      begin[dim] += box[dim];
      if (begin[dim] < extents[dim]) break;
      begin[dim] = 0;
    }
  }
  return 0;
}

/// Reads the first value of a contiguous dataset (the others are plain bytes after it), or all of a
/// dataset that is stored in another way.
herr_t inspect_dataset(hid_t dataset, const Hdf5Watch& watch) {
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  // What lies in another file is refused unseen: that could be a pipe that never ends.
  if (!properties.valid() || H5Pget_external_count(properties.get()) != 0 ||
      H5Pget_layout(properties.get()) == H5D_VIRTUAL) {
    return -1;
  }
  const Hdf5Id type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  const hid_t read_as = memory_type(type.get());
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (read_as < 0 || count <= 0) return 0;
  // A size without the data behind it.
  if (static_cast<double>(count) > most_stored_values(dataset)) return -1;
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  if (layout == H5D_CHUNKED) {
    return inspect_chunks(dataset, read_as, space.get(), properties.get(), watch);
  }
  if (layout == H5D_CONTIGUOUS) {
    const std::vector<hsize_t> first(
        static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))), 0);
    if (!first.empty()) H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, first.data());
  }
  return inspect_box(dataset, read_as, space.get(), watch);
}

/// Runs a part of the walk that the library has called back: no exception may pass through it.
template <class Part>
herr_t called_back(const Part& part) noexcept {
  try {
    return part();
  } catch (...) {  // no room for what the file says is there
    return -1;
  }
}

herr_t visit_attribute(hid_t object, const char* name, const H5A_info_t* /*unused*/,
                       void* /*unused*/) {
  return called_back([&] { return inspect_attribute(object, name); });
}

herr_t inspect_object(hid_t file, const char* name, H5O_type_t type, const Hdf5Watch& watch) {
  watch.on_object(name);
  const Hdf5Id object(H5Oopen(file, name, H5P_DEFAULT), H5Oclose);
  if (!object.valid()) return -1;
  if (H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, visit_attribute, nullptr) <
      0) {
    return -1;
  }
  return type == H5O_TYPE_DATASET ? inspect_dataset(object.get(), watch) : 0;
}

/// Called for every object of the file by H5Ovisit.
herr_t visit_object(hid_t file, const char* name, const H5O_info_t* info, void* watch) {
  return called_back([&] {
    return inspect_object(file, name, info->type, *static_cast<const Hdf5Watch*>(watch));
  });
}

}  // namespace

bool walk_hdf5(const std::string& path, Hdf5Watch watch) {
  const Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.valid()) return false;
  return H5Ovisit(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, visit_object, &watch) >= 0;
}

}  // namespace apb
