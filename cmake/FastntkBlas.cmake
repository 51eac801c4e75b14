# The target fastntk_blas: BLAS and LAPACK, from where FASTNTK_BLAS says.
#   AUTO    the system's if it is found, else PyPI's scipy-openblas32
#   SYSTEM  find_package(BLAS), find_package(LAPACK)
#   SCIPY   the scipy-openblas32 wheel of the Python interpreter in use, or the one unpacked in FASTNTK_OPENBLAS_DIR
#   else    the name of a CMake target that brings both
set(FASTNTK_BLAS AUTO CACHE STRING "BLAS and LAPACK: AUTO, SYSTEM, SCIPY, or the name of a target")

add_library(fastntk_blas INTERFACE)
set(fastntk_blas_choice "${FASTNTK_BLAS}")

if(fastntk_blas_choice STREQUAL "AUTO" OR fastntk_blas_choice STREQUAL "SYSTEM")
  find_package(BLAS QUIET)
  find_package(LAPACK QUIET)
  if(BLAS_FOUND AND LAPACK_FOUND)
    set(fastntk_blas_choice SYSTEM)
  elseif(fastntk_blas_choice STREQUAL "SYSTEM")
    message(FATAL_ERROR "fastntk: FASTNTK_BLAS=SYSTEM, but no BLAS and LAPACK were found. Install one "
                        "(for example libopenblas-dev), or use FASTNTK_BLAS=SCIPY with `pip install scipy-openblas32`.")
  else()
    set(fastntk_blas_choice SCIPY)
  endif()
endif()

if(fastntk_blas_choice STREQUAL "SYSTEM")
  target_link_libraries(fastntk_blas INTERFACE LAPACK::LAPACK BLAS::BLAS)
elseif(fastntk_blas_choice STREQUAL "SCIPY")
  set(FASTNTK_OPENBLAS_DIR "" CACHE PATH "Of libscipy_openblas.so, where no interpreter can tell: for cross-compiling")
  set(fastntk_openblas_dir "${FASTNTK_OPENBLAS_DIR}")
  if(NOT fastntk_openblas_dir)
    find_package(Python REQUIRED COMPONENTS Interpreter)
    execute_process(COMMAND ${Python_EXECUTABLE} -c "import scipy_openblas32; print(scipy_openblas32.get_lib_dir())"
                    OUTPUT_VARIABLE fastntk_openblas_dir OUTPUT_STRIP_TRAILING_WHITESPACE
                    RESULT_VARIABLE fastntk_openblas_missing ERROR_QUIET)
  endif()
  if(fastntk_openblas_missing)
    message(FATAL_ERROR "fastntk: no BLAS. Install a system one (for example libopenblas-dev) for FASTNTK_BLAS=SYSTEM, or "
                        "`${Python_EXECUTABLE} -m pip install scipy-openblas32` for FASTNTK_BLAS=SCIPY.")
  endif()
  target_link_libraries(fastntk_blas INTERFACE ${fastntk_openblas_dir}/libscipy_openblas.so)
  target_compile_definitions(fastntk_blas INTERFACE FASTNTK_BLAS_PREFIX=scipy_)
elseif(TARGET ${fastntk_blas_choice})
  target_link_libraries(fastntk_blas INTERFACE ${fastntk_blas_choice})
else()
  message(FATAL_ERROR "fastntk: FASTNTK_BLAS is '${FASTNTK_BLAS}'; use AUTO, SYSTEM, SCIPY or the name of a target")
endif()
message(STATUS "fastntk: BLAS from ${fastntk_blas_choice}")
