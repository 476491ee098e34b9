# OpenBLAS with its C interface. Defines OpenBLAS::OpenBLAS and OpenBLAS_THREADING. The variant that shares OpenMP's threads is
# preferred: one with threads of its own competes with the kernels for the processor. Debian keeps each variant in a folder of its own
# and lets "alternatives" choose between them when a program starts; linking from the folder puts it into the program's run path, so
# that the variant chosen here is the one that runs.
find_library(OpenBLAS_LIBRARY NAMES openblaso openblas PATH_SUFFIXES openblas-openmp openblas)
find_path(OpenBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp openblas)
mark_as_advanced(OpenBLAS_INCLUDE_DIR OpenBLAS_LIBRARY)
set(OpenBLAS_THREADING "threads of its own")
if(OpenBLAS_LIBRARY MATCHES "openmp|openblaso")
  set(OpenBLAS_THREADING "OpenMP threads")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS REQUIRED_VARS OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)
if(OpenBLAS_FOUND AND NOT TARGET OpenBLAS::OpenBLAS)
  add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
  set_target_properties(OpenBLAS::OpenBLAS PROPERTIES IMPORTED_LOCATION ${OpenBLAS_LIBRARY}
                                                      INTERFACE_INCLUDE_DIRECTORIES ${OpenBLAS_INCLUDE_DIR})
endif()
