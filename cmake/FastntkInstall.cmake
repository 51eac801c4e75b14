# The library, its headers and its CMake package, for find_package(fastntk).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(fastntk_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fastntk)
# The BLAS target goes along because a static library needs it at link time. It carries what was found here: for SYSTEM the
# standard targets, for SCIPY the absolute path of the wheel's library, so such a package serves this machine only.
set_target_properties(fastntk_blas PROPERTIES EXPORT_NAME blas)
install(TARGETS fastntk fastntk_blas EXPORT fastntk-targets COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/csrc/include/fastntk TYPE INCLUDE COMPONENT development)
install(EXPORT fastntk-targets NAMESPACE fastntk:: DESTINATION ${fastntk_package_dir} COMPONENT development)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/fastntk-config.cmake.in ${PROJECT_BINARY_DIR}/fastntk-config.cmake
                              INSTALL_DESTINATION ${fastntk_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fastntk-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fastntk-config.cmake ${PROJECT_BINARY_DIR}/fastntk-config-version.cmake
        DESTINATION ${fastntk_package_dir} COMPONENT development)
