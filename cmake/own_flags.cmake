# Flags of this project's own C++ files. They are this folder's, not the libraries' interface:
# neither an installed library nor a project that contains this one passes them on, and they never
# reach nvcc.
set(own_flags)
if(APB_NATIVE)
  list(APPEND own_flags -march=native)
endif()
if(PROJECT_IS_TOP_LEVEL)
  list(APPEND own_flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
endif()
if(APB_WARNINGS_AS_ERRORS)
  list(APPEND own_flags -Werror)
endif()

# Known false alarms of GCC.
if(PROJECT_IS_TOP_LEVEL AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # On std::optional, whose value it takes for read where it is not there (GCC bug 80635; seen with
  # 14).
  list(APPEND own_flags -Wno-maybe-uninitialized)
  # On anonymous namespaces of files that a unity build includes: it takes them for a header's.
  list(APPEND own_flags -Wno-subobject-linkage)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # On std::string (GCC bug 105651), and on GCC's own AVX-512 intrinsics, which start from an
    # undefined register on purpose (GCC bug 105593).
    list(APPEND own_flags -Wno-restrict -Wno-uninitialized)
  endif()
  # On std::string that grows (13 with -march of AVX-512: "forming offset", "overflows the destination"), on the
  # copy of a vector that it takes for empty where several copies are inlined into each other (14), and, with the
  # checks that sanitizers put between, on a one-element initializer list.
  list(APPEND own_flags -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()

add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${own_flags}>")
