# Whether the CUDA backend is built. Afterwards FASTNTK_CUDA_ENABLED is ON or OFF, and where it is ON the language is enabled.
#   AUTO  where a CUDA compiler is found and works
#   ON    always; without a compiler that is an error
#   OFF   never
#   EMULATED  compiled by the host's compiler and run on the host, slowly: for tests (FASTNTK_CUDA_EMULATED is then ON too)
set(FASTNTK_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if there is a CUDA compiler), ON, OFF or EMULATED")
set_property(CACHE FASTNTK_CUDA PROPERTY STRINGS AUTO ON OFF EMULATED)

string(TOUPPER "${FASTNTK_CUDA}" fastntk_cuda_choice)
if(NOT fastntk_cuda_choice MATCHES "^(AUTO|ON|OFF|EMULATED)$")
  message(FATAL_ERROR "fastntk: FASTNTK_CUDA is '${FASTNTK_CUDA}'; use AUTO, ON, OFF or EMULATED")
endif()

set(FASTNTK_CUDA_ENABLED OFF)
set(FASTNTK_CUDA_EMULATED OFF)
if(fastntk_cuda_choice STREQUAL "EMULATED")
  set(FASTNTK_CUDA_ENABLED ON)
  set(FASTNTK_CUDA_EMULATED ON)
elseif(NOT fastntk_cuda_choice STREQUAL "OFF")
  # Before the language is enabled: that would choose the architectures itself.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;90-virtual")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit 12.4)
    set(FASTNTK_CUDA_ENABLED ${CUDAToolkit_FOUND})
  endif()
  if(fastntk_cuda_choice STREQUAL "ON" AND NOT FASTNTK_CUDA_ENABLED)
    message(FATAL_ERROR "fastntk: FASTNTK_CUDA=ON, but there is no working CUDA toolkit. Put nvcc (12.4 or newer) on PATH or "
                        "set CMAKE_CUDA_COMPILER, or use FASTNTK_CUDA=OFF.")
  endif()
endif()
message(STATUS "fastntk: CUDA backend ${FASTNTK_CUDA_ENABLED} (FASTNTK_CUDA=${FASTNTK_CUDA})")
