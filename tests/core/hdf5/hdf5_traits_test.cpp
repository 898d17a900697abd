// Sound HDF5 files that cannot be read for a reason: the line names it, and never says "corrupt".

#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_guard.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

constexpr std::array<hsize_t, 1> kShape{64};
constexpr H5Z_filter_t kPrivateFilter = 311;

/// A file to be made by hand, with a group "rank_0", whose names readers open, and "notes", whose
/// names nobody does.
class HandMade {
 public:
  explicit HandMade(std::string path)
      : path_(std::move(path)),
        file_(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose),
        space_(H5Screate_simple(1, kShape.data(), nullptr), H5Sclose) {
    silence_hdf5();
    for (const char* group : {"rank_0", "notes"}) {
      H5Gclose(H5Gcreate2(file_.get(), group, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    }
  }
  [[nodiscard]] hid_t id() const { return file_.get(); }

  void dataset(const std::string& name, hid_t properties, bool written) const {
    const Hdf5Id data(H5Dcreate2(file_.get(), name.c_str(), H5T_NATIVE_FLOAT, space_.get(),
                                 H5P_DEFAULT, properties, H5P_DEFAULT),
                      H5Dclose);
    REQUIRE(data.valid());
    const std::array<float, kShape[0]> values{1, 2, 3};
    if (written) {
      REQUIRE(H5Dwrite(data.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                       values.data()) >= 0);
    }
  }

 private:
  std::string path_;
  Hdf5Id file_;
  Hdf5Id space_;
};

Hdf5Id creation_properties() {
  return {H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
}

std::size_t unchanged(unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*,
                      void**) {
  return bytes;
}

void with_private_filter(const HandMade& file, const std::string& name) {
  const H5Z_class2_t filter{H5Z_CLASS_T_VERS, kPrivateFilter, 1,       1,
                            "homegrown",      nullptr,        nullptr, unchanged};
  REQUIRE(H5Zregister(&filter) >= 0);
  const Hdf5Id properties = creation_properties();
  H5Pset_chunk(properties.get(), 1, kShape.data());
  H5Pset_filter(properties.get(), kPrivateFilter, H5Z_FLAG_MANDATORY, 0, nullptr);
  file.dataset(name, properties.get(), true);
  H5Fflush(file.id(), H5F_SCOPE_GLOBAL);
  H5Zunregister(kPrivateFilter);  // closes nothing: the file is flushed
}

void with_external_values(const HandMade& file, const std::string& name) {
  const Hdf5Id properties = creation_properties();
  H5Pset_external(properties.get(), "elsewhere.bin", 0, H5F_UNLIMITED);
  file.dataset(name, properties.get(), false);
}

void as_virtual(const HandMade& file, const std::string& name) {
  const Hdf5Id properties = creation_properties();
  const Hdf5Id space(H5Screate_simple(1, kShape.data(), nullptr), H5Sclose);
  H5Pset_virtual(properties.get(), space.get(), "other.h5", "data", space.get());
  file.dataset(name, properties.get(), false);
}

void as_external_link(const HandMade& file, const std::string& name) {
  REQUIRE(H5Lcreate_external("other.h5", "/data", file.id(), name.c_str(), H5P_DEFAULT,
                             H5P_DEFAULT) >= 0);
}

void as_dangling_link(const HandMade& file, const std::string& name) {
  REQUIRE(H5Lcreate_soft("/nowhere", file.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

struct Kind {
  std::function<void(const HandMade&, const std::string& name)> make;
  std::string line;
};

const std::vector<Kind> kKinds{
    {with_private_filter,
     "is packed by filter homegrown (311), which this HDF5 library lacks: pack it by gzip, or not "
     "at "
     "all"},
    {with_external_values,
     "has its values in another file (external storage): store them in this one"},
    {as_virtual, "is a virtual dataset, which shows values of others: store them in it"},
    {as_external_link, "lies in other.h5 (external link): copy it into this file"},
    {as_dangling_link, "is a link to /nowhere, which is not in this file"}};

TEST_CASE("what keeps a sound dataset from being read is named, where anybody reads it", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sound.h5");
  for (const Kind& kind : kKinds) {
    CAPTURE(kind.line);
    for (const std::string name : {"rank_0/out", "embedding"}) {
      kind.make(HandMade(path), name);
      CHECK(refusal([&] { check_hdf5_in_child(path); }) == path + ": /" + name + " " + kind.line);
    }
    for (const std::string name : {"notes/out", "rank_0/mine"}) {
      kind.make(HandMade(path), name);
      CHECK(refusal([&] { check_hdf5_in_child(path); }) == "accepted");
    }
  }
}

TEST_CASE("links inside the file are followed", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("links.h5");
  {
    const HandMade file(path);
    file.dataset("notes/out", H5P_DEFAULT, true);
    H5Lcreate_soft("/notes/out", file.id(), "rank_0/out", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file.id(), "/rank_0", file.id(), "/rank_0/ring", H5P_DEFAULT, H5P_DEFAULT);
  }
  CHECK(refusal([&] { check_hdf5_in_child(path); }) == "accepted");
  std::vector<float> values(kShape[0]);
  Hdf5Reader(path).read<float>("/rank_0/out", std::array<Index, 1>{kShape[0]}, values);
  CHECK(values[2] == 3);
}

TEST_CASE("a file that another program writes is not called broken", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("open.h5");
  HandMade(path).dataset("embedding", H5P_DEFAULT, true);
  const int writer = open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(flock(writer, LOCK_EX) == 0);
  for (const std::function<void()>& read :
       {std::function<void()>([&] { check_hdf5_in_child(path); }),
        std::function<void()>([&] { const Hdf5Reader reader(path); })}) {
    try {
      read();
      FAIL("must be refused");
    } catch (const CannotRun& error) {
      CHECK(std::string_view(error.what())
                .starts_with(path + ": another program has it open for writing"));
    }
  }
  close(writer);
  CHECK(refusal([&] { check_hdf5_in_child(path); }) == "accepted");
}

TEST_CASE("a file that its writer never closed, or a newer one, is said to be that", "[hdf5]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("head.h5");
  silence_hdf5();
  const pid_t writer = fork();
  if (writer == 0) {  // dies with the file open, as a notebook's kernel may
    const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get());
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    _exit(0);
  }
  REQUIRE(waitpid(writer, nullptr, 0) == writer);
  CHECK(refusal([&] {
          check_hdf5_in_child(path);
        }).starts_with(path + ": was not closed by the program that wrote it"));
  std::string newer = std::string("\x89HDF\r\n\x1a\n", 8) + std::string(2000, '\x09');
  std::ofstream(path, std::ios::binary) << newer;
  CHECK(refusal([&] {
          check_hdf5_in_child(path);
        }).starts_with(path + ": is of a newer HDF5 format (superblock 9)"));
  std::ofstream(path, std::ios::binary) << std::string(512, 'x') << newer;
  CHECK(refusal([&] { check_hdf5_in_child(path); }).find("newer HDF5") != std::string::npos);
}

}  // namespace
}  // namespace apb
