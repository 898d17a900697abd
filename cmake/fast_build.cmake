# What makes a build faster and changes no result. Only for this project's own build: one that
# contains it has its own ways.
include(CheckLinkerFlag)
check_linker_flag(CXX -fuse-ld=lld APB_HAS_LLD)
if(APB_HAS_LLD AND PROJECT_IS_TOP_LEVEL)
  add_link_options(-fuse-ld=lld)
endif()

# Half of the time of a typical file goes into reading the same headers, which are therefore read
# once. Most of the rest goes into templates that many files instantiate, such as the parsers of
# command lines and JSON: files of a library or program are compiled several as one (a unity build),
# for which names in their anonymous namespaces differ. A source file still includes what it uses: an
# include that is missing is found by a build with ccache, which has both ways off, because it serves
# a developer who changes single files.
if(NOT PROJECT_IS_TOP_LEVEL OR CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache")
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
elseif(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
endif()
set(APB_PRECOMPILED_HEADERS
    <Eigen/Core> <fmt/format.h> <algorithm> <array> <cmath> <cstdint> <filesystem> <fstream> <functional>
    <limits> <memory> <numeric> <optional> <random> <span> <stdexcept> <string> <string_view> <utility>
    <vector>)

# apb_precompile(NAME LIBRARIES... HEADERS...): target NAME holds headers compiled with the flags that
# these libraries bring.
function(apb_precompile name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LIBRARIES;HEADERS")
  file(CONFIGURE OUTPUT ${name}.cpp CONTENT "// Its headers are all of it.\n")
  add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE apb_options Eigen3::Eigen fmt::fmt ${ARG_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${APB_PRECOMPILED_HEADERS} ${ARG_HEADERS})
endfunction()

# apb_reuse(NAME TARGETS...): these targets, whose flags are the same, read the headers of NAME. GCC
# would go on without where they differ, Clang refuses.
function(apb_reuse name)
  foreach(target IN LISTS ARGN)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endforeach()
endfunction()

# apb_reuse_quickly(TARGETS...): apb_reuse for what takes its time in the compiler and none when it runs,
# such as commands, which parse options and print. It is hardly optimised (sanitized, not at all), which
# halves the compiler's time.
function(apb_reuse_quickly)
  if(APB_SANITIZE)
    set(level "$<$<COMPILE_LANGUAGE:CXX>:-O0>")
  else()
    set(level "$<$<COMPILE_LANGUAGE:CXX>:-O1>")
  endif()
  if(NOT TARGET apb_quick_headers)
    apb_precompile(apb_quick_headers)
    target_compile_options(apb_quick_headers PRIVATE ${level})
  endif()
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE ${level})
  endforeach()
  apb_reuse(apb_quick_headers ${ARGN})
endfunction()
