#include "tests/fuzz/edited_file.hpp"

#include <hdf5.h>

#include <fstream>
#include <stdexcept>

#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {
namespace {

void apply(hid_t file, const SeedFile& seed, const Edit& edit) {
  const auto one_of = [&](const std::vector<std::string>& names) {
    return names.empty() ? std::string("/none") : names[edit.which % names.size()];
  };
  if (edit.kind <= EditKind::kRenameAttribute) {
    edit_attribute(file, one_of(seed.attributes), edit);
  } else if (edit.kind <= EditKind::kDatasetStorage) {
    edit_dataset(file, one_of(seed.datasets), edit);
  } else {
    edit_link(file, one_of(seed.links), seed.links, edit);
  }
}

}  // namespace

void write_edited(const std::string& path, const SeedFile& seed, std::span<const Edit> edits) {
  std::ofstream(path, std::ios::binary) << seed.bytes;
  const Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  if (!file.valid()) throw std::runtime_error(path + ": cannot be opened for edits");
  for (const Edit& edit : edits) apply(file.get(), seed, edit);
}

}  // namespace apb
