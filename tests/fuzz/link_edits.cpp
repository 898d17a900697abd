// Edits of links: what a name leads to. Nothing is copied: H5Ocopy of libhdf5 1.10 fails on some
// groups and leaves the file open for good. A hard link looks the same to a reader.

#include <hdf5.h>

#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/fuzz/edited_file.hpp"
#include "tests/fuzz/stored_types.hpp"

namespace apb {
namespace {

std::string parent_of(const std::string& link) {
  const std::size_t slash = link.rfind('/');
  return slash == 0 ? "/" : link.substr(0, slash);
}

void redirect(hid_t file, const std::string& link, const std::string& other, const Edit& edit) {
  H5Ldelete(file, link.c_str(), H5P_DEFAULT);
  switch (edit.variant % 6) {
    case 0:
      H5Lcreate_soft(other.c_str(), file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 1:
      H5Lcreate_soft(link.c_str(), file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 2:
      H5Lcreate_soft("/nowhere", file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 3:
      H5Lcreate_hard(file, other.c_str(), file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 4:  // a circle: the group that holds the link
      H5Lcreate_hard(file, parent_of(link).c_str(), file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    default:
      H5Lcreate_external("case.h5", other.c_str(), file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT);
  }
}

void replace_object(hid_t file, const std::string& link, const Edit& edit) {
  H5Ldelete(file, link.c_str(), H5P_DEFAULT);
  if (edit.variant % 3 == 0) {
    const Hdf5Id group(H5Gcreate2(file, link.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                       H5Gclose);
    return;
  }
  const Hdf5Id type = stored_type(edit.place);
  if (edit.variant % 3 == 1) {
    H5Tcommit2(file, link.c_str(), type.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    return;
  }
  const Hdf5Id space(H5Screate(edit.value % 2 == 0 ? H5S_SCALAR : H5S_NULL), H5Sclose);
  const Hdf5Id dataset(H5Dcreate2(file, link.c_str(), type.get(), space.get(), H5P_DEFAULT,
                                  H5P_DEFAULT, H5P_DEFAULT),
                       H5Dclose);
}

}  // namespace

void edit_link(hid_t file, const std::string& link, const std::vector<std::string>& links,
               const Edit& edit) {
  const std::string& other = links[edit.place % links.size()];
  switch (edit.kind) {
    case EditKind::kRemoveLink:
      H5Ldelete(file, link.c_str(), H5P_DEFAULT);
      return;
    case EditKind::kRenameLink: {
      // To a name of another group or object, or to one that nobody knows.
      const std::string name = edit.variant % 2 == 0 ? other : link + "_";
      H5Ldelete(file, name == link ? "/nowhere" : name.c_str(), H5P_DEFAULT);
      H5Lmove(file, link.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      return;
    }
    case EditKind::kRedirectLink:
      return redirect(file, link, other, edit);
    default:
      return replace_object(file, link, edit);
  }
}

}  // namespace apb
