// Shared libraries that are found when they are first needed: cuBLAS and cuSOLVER.
#pragma once

#include <string>
#include <vector>

namespace fastntk::cuda {

/// Where a library may be found.
struct LibrarySearch {
  std::string title;                     // for messages: "cuBLAS"
  const char* variable;                  // of the environment, may name a file
  std::vector<std::string> names;        // the loader's names, best first: "libcublas.so.13"
  std::vector<std::string> directories;  // of the PyPI wheels, relative to site-packages
};

/// Looks for a library in this order: the file that the variable names (and nowhere else if it is set); a copy that the
/// process has loaded already, so that there are not two; the directories of FASTNTK_CUDA_LIBRARY_PATH; the wheels'
/// directories beside this library's package; the loader's own places. Returns its handle, which is never closed, and in
/// `found` where it was. Throws BackendError, which lists what was tried.
void* open_library(const LibrarySearch& search, std::string* found = nullptr);

/// A symbol of the library. Throws BackendError, which names it.
void* symbol(void* library, const LibrarySearch& search, const char* name);

}  // namespace fastntk::cuda
