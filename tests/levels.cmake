# Every library compiled for the levels x86-64-v2, -v3 and -v4 (SSE4.2, AVX2, AVX-512), and the tests
# of what must hold on each: identities between methods, bitwise equality, golden values. Eigen
# chooses its kernels by these flags, not by -O, so the cheap -O1 tests what differs.
foreach(library IN LISTS APB_COMPONENTS)
  get_target_property(sources apb_${library} SOURCES)
  list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/reference/)
  list(APPEND library_sources ${sources})
endforeach()

foreach(level IN ITEMS x86-64-v2 x86-64-v3 x86-64-v4)
  set(libraries apb_libraries_${level})
  add_library(${libraries} STATIC ${library_sources} compare.cpp random_tensors.cpp
              attention/naive_attention.cpp methods/attention_system.cpp model/naive_llama.cpp)
  target_compile_options(${libraries} PUBLIC -march=${level} -O1)
  target_compile_definitions(${libraries} PRIVATE H5_USE_110_API)
  target_link_libraries(${libraries}
    PUBLIC apb_options Eigen3::Eigen fmt::fmt OpenMP::OpenMP_CXX Threads::Threads
    PRIVATE HDF5::HDF5 MPI::MPI_CXX nlohmann_json::nlohmann_json ${CMAKE_DL_LIBS})
  target_precompile_headers(${libraries} PRIVATE <Eigen/Core> <fmt/format.h> <fmt/ranges.h>
                            <algorithm> <functional> <optional> <string> <vector>)

  set(program apb_level_tests_${level})
  add_executable(${program} attention/attend_invariance_test.cpp attention/merge_test.cpp
    methods/exact_methods_test.cpp methods/identities_test.cpp methods/visible_tokens.cpp
    model/prefill_test.cpp)
  target_link_libraries(${program} PRIVATE ${libraries} apb_catch)
  add_test(NAME level_${level} COMMAND Python3::Interpreter
    ${CMAKE_CURRENT_SOURCE_DIR}/level_test.py ${level} $<TARGET_FILE:${program}>)
  set_tests_properties(level_${level} PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
