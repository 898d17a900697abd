#pragma once
/// \file
/// A small RAII layer over HDF5's C API: read and write named arrays and attributes, nothing else.
/// HDF5's serial library is not thread safe: one thread at a time.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/index.hpp"

namespace apb {

/// An HDF5 identifier (file, group, dataset, type, …) closed with the function that fits it.
class Hdf5Id {
 public:
  using Close = int (*)(std::int64_t);
  Hdf5Id(std::int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Id(const Hdf5Id&) = delete;
  Hdf5Id& operator=(const Hdf5Id&) = delete;
  Hdf5Id(Hdf5Id&& other) noexcept : id_(other.id_), close_(other.close_) { other.id_ = -1; }
  Hdf5Id& operator=(Hdf5Id&&) = delete;
  ~Hdf5Id();

  [[nodiscard]] std::int64_t get() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }

 private:
  std::int64_t id_;
  Close close_;
};

/// Called before anything else of HDF5: no messages of its own on stderr, and no clean-up at exit,
/// which crashes after a full disk.
void silence_hdf5();

/// The most values that a dataset's bytes in the file can stand for; 0 if they lie elsewhere.
[[nodiscard]] double most_stored_values(std::int64_t dataset);

/// Access properties of this class by which links are followed, but never into another file.
[[nodiscard]] Hdf5Id inside_this_file(std::int64_t property_class);

/// An HDF5 file that is only read. Every error is a BadInput that names file and key. What a link
/// or a dataset keeps in another file counts as missing here: check_hdf5_in_child names it.
class Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool has(const std::string& name) const;

  /// Attributes, of the root group or of the object that the name states: "/rank_0/anchor_rows".
  [[nodiscard]] bool has_attribute(const std::string& name) const;
  [[nodiscard]] std::int64_t int_attribute(const std::string& name) const;
  [[nodiscard]] double double_attribute(const std::string& name) const;
  /// Fixed or variable length, as C and Python write them.
  [[nodiscard]] std::string string_attribute(const std::string& name) const;
  /// A list of integers, or one integer as a list of one.
  [[nodiscard]] std::vector<std::int64_t> int_list_attribute(const std::string& name) const;

  [[nodiscard]] std::vector<Index> shape(const std::string& dataset) const;
  /// \throws BadInput if the dataset is missing or looks otherwise
  void require_shape(const std::string& dataset, std::span<const Index> expected_shape) const;
  /// As require_shape; also refuses a dataset of which parts were never written, and a size that
  /// the file cannot hold the values of, so that room may be made for them.
  void require_stored(const std::string& dataset, std::span<const Index> expected_shape) const;

  /// A whole dataset, converted to T (float, double, std::int64_t or std::uint8_t) from floats of
  /// any width or from integers of any width, whichever T is.
  /// \param expected_shape what the dataset must look like
  /// \param values         room for all its elements
  template <class T>
  void read(const std::string& dataset, std::span<const Index> expected_shape,
            std::span<T> values) const;

 private:
  [[nodiscard]] Hdf5Id open_attribute(const std::string& name) const;
  [[nodiscard]] Hdf5Id open_dataset(const std::string& name) const;
  /// \throws BadInput if it does not have this shape
  [[nodiscard]] Hdf5Id open_dataset(const std::string& name,
                                    std::span<const Index> expected_shape) const;

  std::string path_;
  Hdf5Id file_;
  Hdf5Id link_access_;     ///< how links are followed: never into another file
  Hdf5Id dataset_access_;  ///< the same for datasets
};

/// An HDF5 file that is written under a temporary name and appears under its own name on commit().
/// Without commit() nothing is left behind.
class Hdf5Writer {
 public:
  /// \throws BadInput if the file cannot be created there, or would replace one that is no HDF5
  /// file
  explicit Hdf5Writer(const std::string& path);
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  Hdf5Writer(Hdf5Writer&&) = delete;
  Hdf5Writer& operator=(Hdf5Writer&&) = delete;
  ~Hdf5Writer();

  /// Creates a group; its parents must exist.
  void create_group(const std::string& name);

  /// Attributes of an existing group ("/" is the root).
  void set_attribute(const std::string& group, const std::string& name, std::int64_t value);
  void set_attribute(const std::string& group, const std::string& name, double value);
  void set_attribute(const std::string& group, const std::string& name, std::string_view value);
  /// A list, at most 8,000 long.
  void set_attribute(const std::string& group, const std::string& name,
                     std::span<const std::int64_t> values);

  /// Writes a dataset of T (float, double, std::int64_t or std::uint8_t); its group must exist.
  template <class T>
  void write(const std::string& dataset, std::span<const Index> shape, std::span<const T> values);

  /// Closes the file and gives it its name. \throws CannotRun if that fails
  void commit();

 private:
  std::string path_;
  std::string temporary_path_;
  std::vector<Hdf5Id> file_;  ///< one, until committed
};

}  // namespace apb
