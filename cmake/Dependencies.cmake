# Finds what Gradus is built from. Required parts stop the configuration; optional ones have a switch (AUTO, ON, OFF) and say whether
# they are in and why. Nothing found here reaches the public headers.

set(GRADUS_LINK_LIBRARIES)       # what the library links, privately
set(GRADUS_PRIVATE_INCLUDES)     # headers of what it links, for src/ and kernels/
set(GRADUS_PRIVATE_DEFINITIONS)  # GRADUS_WITH_<PART>=0|1, for src/ and kernels/
set(GRADUS_FOUND_PARTS)          # packages that a static library's consumer has to find again
set(GRADUS_PC_LIBRARIES)         # the same for pkg-config

# gradus_switch(NAME "what it is for"): declares the switch GRADUS_<NAME>.
function(gradus_switch name purpose)
  set(GRADUS_${name} AUTO CACHE STRING "${purpose}: AUTO, ON or OFF")
  set_property(CACHE GRADUS_${name} PROPERTY STRINGS AUTO ON OFF)
endfunction()

# gradus_decide(NAME FOUND "why yes" "why not"): GRADUS_WITH_<NAME> becomes 0 or 1, and the reason is printed.
function(gradus_decide name found why_yes why_not)
  set(with 0)
  if(GRADUS_${name} STREQUAL "AUTO" OR GRADUS_${name})
    if(found)
      set(with 1)
      set(why "${why_yes}")
    elseif(GRADUS_${name} STREQUAL "AUTO")
      set(why "${why_not}")
    else()
      message(FATAL_ERROR "GRADUS_${name} is ON, but: ${why_not}")
    endif()
  else()
    set(why "GRADUS_${name} is ${GRADUS_${name}}")
  endif()
  set(GRADUS_WITH_${name} ${with} PARENT_SCOPE)
  set(GRADUS_PRIVATE_DEFINITIONS ${GRADUS_PRIVATE_DEFINITIONS} GRADUS_WITH_${name}=${with} PARENT_SCOPE)
  string(SUBSTRING "${name}            " 0 10 shown)
  if(with)
    message(STATUS "Gradus  ${shown} in   ${why}")
  else()
    message(STATUS "Gradus  ${shown} out  ${why}")
  endif()
endfunction()

# gradus_use(TARGET PC...): links an imported target into the library and gives src/ and kernels/ its headers. PC: its flags for pkg-config.
macro(gradus_use target)
  list(APPEND GRADUS_LINK_LIBRARIES ${target})
  list(APPEND GRADUS_PRIVATE_INCLUDES $<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>)
  list(APPEND GRADUS_PC_LIBRARIES ${ARGN})
endmacro()

# ---- required -----------------------------------------------------------------------------------------------------------
set(THREADS_PREFER_PTHREAD_FLAG OFF)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
gradus_use(ZLIB::ZLIB -lz)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.9 REQUIRED)
foreach(headers Eigen3::Eigen nlohmann_json::nlohmann_json)  # headers only: compiled in, never linked, unknown to consumers
  list(APPEND GRADUS_PRIVATE_INCLUDES $<TARGET_PROPERTY:${headers},INTERFACE_INCLUDE_DIRECTORIES>)
endforeach()

# ---- the processor ------------------------------------------------------------------------------------------------------
# GRADUS_WITH_X86: the kernels' tables for AVX2 and AVX-512 are there, and the processor is asked at start which it can run.
set(GRADUS_WITH_X86 0)
if(GRADUS_MULTI_ISA AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(GRADUS_WITH_X86 1)
endif()
list(APPEND GRADUS_PRIVATE_DEFINITIONS GRADUS_WITH_X86=${GRADUS_WITH_X86})

# ---- optional -----------------------------------------------------------------------------------------------------------
gradus_switch(OPENMP "Threads in kernels, through OpenMP")
if(GRADUS_OPENMP)
  find_package(OpenMP QUIET COMPONENTS CXX)
endif()
gradus_decide(OPENMP "${OpenMP_CXX_FOUND}" "kernels share their work among threads" "the compiler has no OpenMP: kernels run on one thread")
if(GRADUS_WITH_OPENMP)
  list(APPEND GRADUS_LINK_LIBRARIES OpenMP::OpenMP_CXX)
  list(APPEND GRADUS_PC_LIBRARIES ${OpenMP_CXX_FLAGS})
  list(APPEND GRADUS_FOUND_PARTS OpenMP)
endif()

gradus_switch(SLEEF "Vectorized functions for double and the rarer ones for float")
if(GRADUS_SLEEF)
  find_package(SLEEF QUIET)
endif()
gradus_decide(SLEEF "${SLEEF_FOUND}" "${SLEEF_LIBRARY}" "not found (libsleef-dev): one element at a time through <cmath>")
if(GRADUS_WITH_SLEEF)
  gradus_use(SLEEF::SLEEF -lsleef)
  list(APPEND GRADUS_FOUND_PARTS SLEEF)
endif()

gradus_switch(BLAS "OpenBLAS for matrix products")
if(GRADUS_BLAS)
  find_package(OpenBLAS MODULE QUIET)
endif()
gradus_decide(BLAS "${OpenBLAS_FOUND}" "${OpenBLAS_LIBRARY} (${OpenBLAS_THREADING})" "OpenBLAS not found (libopenblas-openmp-dev): matrix products are Eigen's")
if(GRADUS_WITH_BLAS)
  get_filename_component(folder ${OpenBLAS_LIBRARY} DIRECTORY)
  get_filename_component(name ${OpenBLAS_LIBRARY} NAME)
  gradus_use(OpenBLAS::OpenBLAS -L${folder} -Wl,-rpath,${folder} -l:${name})
  list(APPEND GRADUS_FOUND_PARTS OpenBLAS)
endif()

gradus_switch(ONEDNN "oneDNN for convolutions, pooling and small matrix products")
if(GRADUS_ONEDNN)
  find_package(oneDNN QUIET)
endif()
gradus_decide(ONEDNN "${oneDNN_FOUND}" "${oneDNN_VERSION}, ${oneDNN_LIBRARY}" "not found (libdnnl-dev): convolutions are matrix products")
if(GRADUS_WITH_ONEDNN)
  gradus_use(oneDNN::oneDNN -ldnnl)
  list(APPEND GRADUS_FOUND_PARTS oneDNN)
endif()

gradus_switch(DOWNLOAD "Opt-in download of datasets, checked by SHA-256")
if(GRADUS_DOWNLOAD)
  find_package(CURL QUIET)
  find_package(OpenSSL QUIET COMPONENTS Crypto)
endif()
set(download_found FALSE)
if(CURL_FOUND AND OpenSSL_FOUND)
  set(download_found TRUE)
endif()
gradus_decide(DOWNLOAD ${download_found} "libcurl ${CURL_VERSION_STRING}, OpenSSL ${OPENSSL_VERSION}" "libcurl or OpenSSL not found (libcurl4-openssl-dev, libssl-dev)")
if(GRADUS_WITH_DOWNLOAD)
  gradus_use(CURL::libcurl -lcurl)
  gradus_use(OpenSSL::Crypto -lcrypto)
  list(APPEND GRADUS_FOUND_PARTS CURL OpenSSL)
endif()

# The runtime is linked statically, so the library starts on a machine that has nothing of CUDA; it finds the driver, or not, when asked.
gradus_switch(CUDA "Kernels for NVIDIA GPUs")
set(cuda_found FALSE)
set(cuda_why_not "no CUDA compiler found (nvcc)")
if(GRADUS_CUDA)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(GRADUS_NVCC nvcc HINTS /usr/local/cuda/bin)
    mark_as_advanced(GRADUS_NVCC)
    if(GRADUS_NVCC)
      set(CMAKE_CUDA_COMPILER ${GRADUS_NVCC})
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    find_package(CUDAToolkit 12 QUIET)
    set(cuda_why_not "CUDA 12 or later with its static runtime is needed, found ${CUDAToolkit_VERSION}")
    if(TARGET CUDA::cudart_static)
      set(cuda_found TRUE)
    endif()
  endif()
endif()
set(cuda_architectures 90-real)  # of a build to work with: quick to compile
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(cuda_architectures 80-real 90)  # and code that drivers translate for whatever comes later
endif()
if(CMAKE_CUDA_ARCHITECTURES)
  set(cuda_architectures ${CMAKE_CUDA_ARCHITECTURES})
endif()
set(GRADUS_CUDA_ARCHITECTURES "${cuda_architectures}" CACHE STRING "GPUs to build for, as CMAKE_CUDA_ARCHITECTURES has them; 80 or later")
gradus_decide(CUDA ${cuda_found} "CUDA ${CUDAToolkit_VERSION}, for ${GRADUS_CUDA_ARCHITECTURES}" "${cuda_why_not}")
if(GRADUS_WITH_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES ${GRADUS_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  gradus_use(CUDA::cudart_static -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt)
  list(APPEND GRADUS_FOUND_PARTS CUDAToolkit)
endif()

# What the library's own sources see and nobody else: the repository root (kernels/...), private headers, GRADUS_WITH_<PART>.
function(gradus_private_settings target)
  gradus_compile_settings(${target})
  target_include_directories(${target} SYSTEM PRIVATE ${GRADUS_PRIVATE_INCLUDES})
  target_compile_definitions(${target} PRIVATE ${GRADUS_PRIVATE_DEFINITIONS})
endfunction()

# The part of it that kernels per instruction set see: they know SLEEF and no other library, so that builds with and without BLAS or
# oneDNN share their cached objects.
function(gradus_isa_settings target)
  gradus_compile_settings(${target})
  if(GRADUS_WITH_SLEEF)
    target_include_directories(${target} SYSTEM PRIVATE $<TARGET_PROPERTY:SLEEF::SLEEF,INTERFACE_INCLUDE_DIRECTORIES>)
  endif()
  target_compile_definitions(${target} PRIVATE GRADUS_WITH_SLEEF=${GRADUS_WITH_SLEEF} GRADUS_WITH_X86=${GRADUS_WITH_X86})
endfunction()

function(gradus_compile_settings target)
  gradus_common_settings(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  # One machine's sums are another's: no contraction but where a kernel's instruction set asks for it.
  target_compile_options(${target} PRIVATE -ffp-contract=off)
  # A static library may end up in a shared one; inlining stays what it is without -fPIC.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -fno-semantic-interposition -ftls-model=initial-exec)
  if(GRADUS_WITH_OPENMP)
    target_compile_options(${target} PRIVATE ${OpenMP_CXX_FLAGS})
  endif()
endfunction()
