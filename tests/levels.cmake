# Every library compiled for the levels x86-64-v2, -v3 and -v4 (SSE4.2, AVX2, AVX-512), and the tests
# of what must hold on each: identities between methods, bitwise equality, golden values. Eigen
# chooses its kernels by the level, not by -O, so -O1 is enough. To make this cheap, all files of the
# libraries are compiled as one (a unity build), for which names in their anonymous namespaces differ.
set(level_sources)
foreach(library IN LISTS APB_COMPONENTS)
  get_target_property(sources apb_${library} SOURCES)
  list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/reference/)
  set_source_files_properties(${sources} PROPERTIES UNITY_GROUP libraries)
  list(APPEND level_sources ${sources})
endforeach()
set(level_tests
  support/compare.cpp support/random_tensors.cpp attention/naive_attention.cpp methods/attention_system.cpp
  model/naive_llama.cpp attention/attend_invariance_test.cpp attention/merge_test.cpp
  methods/exact_methods_test.cpp methods/identities_test.cpp methods/visible_tokens.cpp
  model/hf_golden_test.cpp model/prefill_test.cpp
  ${PROJECT_SOURCE_DIR}/reference/model_io/tokenizer.cpp ${PROJECT_SOURCE_DIR}/reference/model_io/utf8.cpp)
set_source_files_properties(${level_tests} PROPERTIES UNITY_GROUP tests)

foreach(level IN ITEMS x86-64-v2 x86-64-v3 x86-64-v4)
  set(program apb_level_tests_${level})
  add_executable(${program} ${level_sources} ${level_tests})
  set_target_properties(${program} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${program} PRIVATE -march=${level} -O1)
  target_compile_definitions(${program} PRIVATE H5_USE_110_API APB_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${program} PRIVATE
    apb_options apb_catch apb_cli Eigen3::Eigen fmt::fmt HDF5::HDF5 MPI::MPI_CXX nlohmann_json::nlohmann_json
    Threads::Threads ${CMAKE_DL_LIBS})
  add_dependencies(apb_tests ${program})
  add_test(NAME level_${level} COMMAND Python3::Interpreter
    ${CMAKE_CURRENT_SOURCE_DIR}/level_test.py ${level} $<TARGET_FILE:${program}>)
  set_tests_properties(level_${level} PROPERTIES LABELS unit TIMEOUT 600 SKIP_RETURN_CODE 77
                                                 SKIP_REGULAR_EXPRESSION "SKIPPED:")
endforeach()
