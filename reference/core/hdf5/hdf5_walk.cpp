#include "reference/core/hdf5/hdf5_walk.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <vector>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/open_file.hpp"

namespace apb {
namespace {

/// Values of a box are at most this many bytes, unless one chunk is more.
constexpr hsize_t kBoxBytes = hsize_t{16} << 20U;

/// A dataset whose values the file does not hold, because they were never written, is read if it
/// has no more than this many: a size may be a mistake, and reading takes time.
constexpr double kMostUnwritten = 1U << 31U;

/// Groups of this project's files are three deep; a link may make a ring of others.
constexpr int kMostDepth = 8;

/// Why an object cannot be read that is not broken.
class Trait : public std::runtime_error {
  using runtime_error::runtime_error;
};

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

/// Names a filter that packs the dataset and that this library lacks. \throws Trait
void refuse_unknown_filter(hid_t properties) {
  for (int index = 0; index < H5Pget_nfilters(properties); ++index) {
    std::array<char, 64> name{};
    std::size_t no_values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(properties, static_cast<unsigned>(index), nullptr, &no_values, nullptr,
                       name.size() - 1, name.data(), nullptr);
    if (filter >= 0 && H5Zfilter_avail(filter) <= 0) {
      throw Trait(
          fmt::format("is packed by filter {} ({}), which this HDF5 library lacks: pack it "
                      "by gzip, or not at all",
                      name.data(), static_cast<int>(filter)));
    }
  }
}

/// Values that lie in another file are not looked for: that could be a pipe that never ends.
/// \throws Trait
void require_own_values(hid_t properties) {
  if (H5Pget_external_count(properties) > 0) {
    throw Trait("has its values in another file (external storage): store them in this one");
  }
  if (H5Pget_layout(properties) == H5D_VIRTUAL) {
    throw Trait("is a virtual dataset, which shows values of others: store them in it");
  }
}

/// Reads the first value of a contiguous dataset (the others are plain bytes after it), or all of a
/// dataset that is stored in another way. \throws Trait
herr_t inspect_dataset(hid_t dataset, const Hdf5Watch& watch) {
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  if (!properties.valid()) return -1;
  require_own_values(properties.get());
  const Hdf5Id type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  const hid_t read_as = memory_type(type.get());
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (read_as < 0 || count <= 0) return 0;
  const auto values = static_cast<double>(count);
  if (values > most_stored_values(dataset) && values > kMostUnwritten) {
    throw Trait(fmt::format("has {} values, of which the file holds at most {:.0f}", count,
                            most_stored_values(dataset)));
  }
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  if (layout == H5D_CHUNKED) {
    const herr_t read = inspect_chunks(dataset, read_as, space.get(), properties.get(), watch);
    if (read < 0) refuse_unknown_filter(properties.get());
    return read;
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

herr_t collect_name(hid_t /*group*/, const char* name, const H5L_info_t* /*unused*/, void* names) {
  return called_back([&] {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
  });
}

/// The text that a soft or external link holds.
std::vector<char> link_value(hid_t group, const std::string& name, const H5L_info_t& link) {
  std::vector<char> value(link.u.val_size + 1, '\0');
  H5Lget_val(group, name.c_str(), value.data(), link.u.val_size, H5P_DEFAULT);
  return value;
}

/// What stands under a name of a group; links are followed inside this file. \throws Trait
Hdf5Id open_object(hid_t group, const std::string& name) {
  H5L_info_t link{};
  if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0) return {-1, H5Oclose};
  if (link.type == H5L_TYPE_EXTERNAL) {
    const std::vector<char> value = link_value(group, name, link);
    const char* file = "another file";
    H5Lunpack_elink_val(value.data(), link.u.val_size, nullptr, &file, nullptr);
    throw Trait(fmt::format("lies in {} (external link): copy it into this file", file));
  }
  const Hdf5Id access = inside_this_file(H5P_LINK_ACCESS);
  Hdf5Id object(H5Oopen(group, name.c_str(), access.get()), H5Oclose);
  if (!object.valid() && link.type == H5L_TYPE_SOFT) {
    throw Trait(fmt::format("is a link to {}, which is not in this file",
                            link_value(group, name, link).data()));
  }
  return object;
}

herr_t inspect_object(const Hdf5Id& object, const std::string& path, int depth,
                      const Hdf5Watch& watch);

/// What stands in a group under names that are read. \throws Trait
herr_t inspect_members(hid_t group, const std::string& path, int depth, const Hdf5Watch& watch) {
  std::vector<std::string> names;
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names) < 0) {
    return -1;
  }
  for (const std::string& name : names) {
    const std::string member = path.empty() ? name : path + "/" + name;
    if (!watch.is_read(member)) continue;
    watch.on_object(member);
    if (inspect_object(open_object(group, name), member, depth + 1, watch) < 0) return -1;
  }
  return 0;
}

herr_t inspect_object(const Hdf5Id& object, const std::string& path, int depth,
                      const Hdf5Watch& watch) {
  if (!object.valid() || depth > kMostDepth) return -1;
  if (H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, visit_attribute, nullptr) <
      0) {
    return -1;
  }
  switch (H5Iget_type(object.get())) {
    case H5I_DATASET:
      return inspect_dataset(object.get(), watch);
    case H5I_GROUP:
      return inspect_members(object.get(), path, depth, watch);
    default:
      return 0;
  }
}

}  // namespace

std::optional<std::string> walk_hdf5(const std::string& path, const Hdf5Watch& watch) {
  const Hdf5Id file = open_hdf5_for_reading(path);
  if (!file.valid()) return "";
  try {
    watch.on_object("");
    const Hdf5Id root(H5Oopen(file.get(), "/", H5P_DEFAULT), H5Oclose);
    if (inspect_object(root, "", 0, watch) < 0) return "";
  } catch (const Trait& trait) {
    return trait.what();
  } catch (const std::bad_alloc&) {  // no room for what the file says is there
    return "";
  }
  return {};
}

}  // namespace apb
