# cmake --install: headers, libraries and a package config (find_package(apb COMPONENTS core) gives
# apb::core; the components are core, attention, comm, methods, model, verify), the tools, and what
# the tools read. The tree may be moved as a whole.
include(CMakePackageConfigHelpers)

set(APB_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/apb)

foreach(library IN ITEMS options ${APB_COMPONENTS})
  set_target_properties(apb_${library} PROPERTIES EXPORT_NAME ${library})
  install(TARGETS apb_${library} EXPORT apb ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
install(EXPORT apb NAMESPACE apb:: FILE apb-targets.cmake DESTINATION ${APB_PACKAGE_DIR})

configure_package_config_file(cmake/apb-config.cmake.in ${PROJECT_BINARY_DIR}/apb-config.cmake
                              INSTALL_DESTINATION ${APB_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/apb-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/apb-config.cmake ${PROJECT_BINARY_DIR}/apb-config-version.cmake
        DESTINATION ${APB_PACKAGE_DIR})

foreach(component IN LISTS APB_COMPONENTS)
  install(DIRECTORY reference/${component} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/apb/reference
          FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h" PATTERN hdf5_types.hpp EXCLUDE)
endforeach()

# In the share folder things lie as in the source tree.
set(APB_SHARE_DIR ${CMAKE_INSTALL_DATADIR}/apb)
install(DIRECTORY configs examples DESTINATION ${APB_SHARE_DIR})
install(DIRECTORY reference/tools DESTINATION ${APB_SHARE_DIR}/reference
        FILES_MATCHING PATTERN "*.py" PATTERN "requirements*.txt" PATTERN __pycache__ EXCLUDE)
if(TARGET apb-bench)
  install(FILES cuda/tools/bench/torch_attention.py DESTINATION ${APB_SHARE_DIR}/cuda/tools/bench)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
