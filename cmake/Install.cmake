# `cmake --install build/release --prefix DIR`: headers, library, and how CMake and pkg-config find them. Everything can be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gradus)
install(TARGETS gradus EXPORT gradusTargets FILE_SET HEADERS)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.def)
install(EXPORT gradusTargets NAMESPACE gradus:: DESTINATION ${package_dir})

# A static library's consumer links what the library uses, so the package finds it again; a shared one brings it along.
set(GRADUS_PACKAGE_PARTS)
if(NOT BUILD_SHARED_LIBS)
  set(GRADUS_PACKAGE_PARTS ZLIB ${GRADUS_FOUND_PARTS})
  install(FILES cmake/FindSLEEF.cmake cmake/FindOpenBLAS.cmake cmake/FindoneDNN.cmake DESTINATION ${package_dir})
endif()
configure_package_config_file(cmake/gradusConfig.cmake.in ${PROJECT_BINARY_DIR}/gradusConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gradusConfig.cmake ${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake
        DESTINATION ${package_dir})

# pkg-config. A static library names what it uses as its own libraries: a plain `pkg-config --libs gradus` links.
file(RELATIVE_PATH GRADUS_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
list(JOIN GRADUS_PC_LIBRARIES " " GRADUS_PC_LIBS)
if(BUILD_SHARED_LIBS)
  set(GRADUS_PC_LIBS "")
endif()
configure_file(cmake/gradus.pc.in ${PROJECT_BINARY_DIR}/gradus.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/gradus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
