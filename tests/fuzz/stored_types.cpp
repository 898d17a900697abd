#include "tests/fuzz/stored_types.hpp"

#include <hdf5.h>

namespace apb {
namespace {

hid_t string_type(std::size_t size, H5T_str_t padding) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_strpad(type, padding);
  return type;
}

hid_t compound_type() {
  const hid_t type = H5Tcreate(H5T_COMPOUND, 16);
  H5Tinsert(type, "real", 0, H5T_NATIVE_DOUBLE);
  H5Tinsert(type, "integer", 8, H5T_NATIVE_INT64);
  return type;
}

hid_t enum_type() {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT64);
  constexpr std::int64_t kOne = 1;
  H5Tenum_insert(type, "one", &kOne);
  return type;
}

hid_t array_type() {
  constexpr hsize_t kTwo = 2;
  return H5Tarray_create2(H5T_NATIVE_INT64, 1, &kTwo);
}

/// Twelve bits inside four bytes.
hid_t odd_integer_type() {
  const hid_t type = H5Tcopy(H5T_STD_I32LE);
  H5Tset_precision(type, 12);
  H5Tset_offset(type, 3);
  return type;
}

/// IEEE half precision, as h5py writes it.
hid_t half_type() {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

hid_t make_type(int number) {
  switch (number % kNumStoredTypes) {
    case 0:
      return H5Tcopy(H5T_STD_I8LE);
    case 1:
      return H5Tcopy(H5T_STD_U8LE);
    case 2:
      return H5Tcopy(H5T_STD_I16BE);
    case 3:
      return H5Tcopy(H5T_STD_I32LE);
    case 4:
      return H5Tcopy(H5T_STD_I64BE);
    case 5:
      return H5Tcopy(H5T_STD_U64LE);
    case 6:
      return H5Tcopy(H5T_IEEE_F32LE);
    case 7:
      return H5Tcopy(H5T_IEEE_F64BE);
    case 8:
      return H5Tcopy(H5T_NATIVE_LDOUBLE);
    case 9:
      return H5Tcopy(H5T_STD_B32LE);
    case 10:
      return string_type(8, H5T_STR_NULLTERM);
    case 11:
      return string_type(3, H5T_STR_SPACEPAD);
    case 12:
      return string_type(H5T_VARIABLE, H5T_STR_NULLTERM);
    case 13:
      return compound_type();
    case 14:
      return H5Tcopy(H5T_STD_REF_OBJ);
    case 15:
      return enum_type();
    case 16:
      return array_type();
    case 17:
      return H5Tvlen_create(H5T_NATIVE_INT64);
    case 18:
      return odd_integer_type();
    default:
      return half_type();
  }
}

}  // namespace

Hdf5Id stored_type(int number) {
  return {make_type(number), H5Tclose};
}

std::int64_t number_type(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return H5T_NATIVE_INT64;
    case H5T_FLOAT:
      return H5T_NATIVE_DOUBLE;
    default:
      return -1;
  }
}

}  // namespace apb
