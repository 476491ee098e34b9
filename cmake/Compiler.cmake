# How things are compiled: the switches of the build, warnings, sanitizers, the compiler cache.

option(BUILD_SHARED_LIBS "Build libgradus as a shared library" OFF)
option(GRADUS_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(GRADUS_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(GRADUS_BUILD_BENCHMARKS "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(GRADUS_WERROR "Treat warnings as errors (with g++ 12, which the code is kept clean for; others only warn)" OFF)
option(GRADUS_FUZZ "Build the fuzz targets (clang++)" OFF)
option(GRADUS_MULTI_ISA "Compile the kernels for AVX2 and AVX-512 too; what the processor has is chosen at start" ON)
set(GRADUS_ISA_LEVELS "avx2;avx512" CACHE STRING "Which they are")
option(GRADUS_PRECOMPILE "Read the headers once for all files: quicker from scratch, but nobody sees which file forgot an #include" OFF)
option(GRADUS_CUDA_EMULATOR "Run the kernels for NVIDIA GPUs on the CPU, to test them (needs CUDA's headers)" OFF)
set(GRADUS_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. \"address;undefined\" or \"thread\"")

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Kind of build: Release, Debug, RelWithDebInfo" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# Checkouts share cached objects: paths are hashed relative to the source tree.
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(GRADUS_CCACHE ccache)
  mark_as_advanced(GRADUS_CCACHE)
  if(GRADUS_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
                                    ${GRADUS_CCACHE})
    if(GRADUS_PRECOMPILE)  # what ccache wants to be told where headers are precompiled
      list(INSERT CMAKE_CXX_COMPILER_LAUNCHER 5 CCACHE_SLOPPINESS=pch_defines,time_macros)
    endif()
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
endif()

set(GRADUS_WARNINGS -Wall -Wextra -Wno-psabi)  # psabi: vectors never cross the library's boundary
if(GRADUS_WERROR AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(PREPEND GRADUS_WARNINGS -Werror)
endif()

set(GRADUS_SANITIZE_FLAGS)
if(GRADUS_SANITIZE)
  list(JOIN GRADUS_SANITIZE "," names)
  set(GRADUS_SANITIZE_FLAGS -fsanitize=${names} -fno-omit-frame-pointer)
  if("undefined" IN_LIST GRADUS_SANITIZE)
    list(APPEND GRADUS_SANITIZE_FLAGS -fno-sanitize-recover=undefined)
  endif()
  if("address" IN_LIST GRADUS_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND GRADUS_SANITIZE_FLAGS -D__SANITIZE_ADDRESS__)  # as g++ does: pools, which would hide errors, step aside
  elseif("thread" IN_LIST GRADUS_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND GRADUS_SANITIZE_FLAGS -D__SANITIZE_THREAD__)
  endif()
  add_link_options(${GRADUS_SANITIZE_FLAGS})
endif()
if(GRADUS_FUZZ AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "GRADUS_FUZZ needs clang++, not ${CMAKE_CXX_COMPILER_ID}: use the preset `asan`")
endif()

# What every target of this project is compiled with, the library's own and the programs.
function(gradus_common_settings target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE ${GRADUS_WARNINGS} ${GRADUS_SANITIZE_FLAGS})
endfunction()

# gradus_precompile(TARGET PRIVATE HEADER... | REUSE_FROM OTHER): with GRADUS_PRECOMPILE, every file of the target starts from these headers.
function(gradus_precompile target)
  if(GRADUS_PRECOMPILE)
    target_precompile_headers(${target} ${ARGN})
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # what follows is for ccache
      target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    else()
      target_compile_options(${target} PRIVATE -fpch-preprocess)
    endif()
  endif()
endfunction()
