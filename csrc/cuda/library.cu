#include "library.cuh"

#include <fastntk/error.hpp>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include <dlfcn.h>

namespace fastntk::cuda {
namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t end = list.find(':');
    if (end != 0) parts.emplace_back(list.substr(0, end));
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
  return parts;
}

/// The directory that holds the package of the Python extension, if this code is in one: site-packages.
std::string packages_directory() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&open_library), &info) || !info.dli_fname) return {};
  std::error_code ignored;
  const std::filesystem::path self = std::filesystem::canonical(info.dli_fname, ignored);
  return ignored ? std::string() : self.parent_path().parent_path().string();
}

}  // namespace

void* open_library(const LibrarySearch& search, std::string* found) {
  std::string tried;
  const auto open = [&](const std::string& name, int flags) {
    void* const library = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL | flags);
    if (library && found) *found = name;
    if (!library) {
      const char* const reason = dlerror();
      if (!(flags & RTLD_NOLOAD)) tried += "\n  " + std::string(reason ? reason : name.c_str());
    }
    return library;
  };

  const char* const named = std::getenv(search.variable);
  if (named && *named) {
    if (void* const library = open(named, 0)) return library;
    throw BackendError(search.title + " could not be loaded from " + search.variable + "=" + named + ":" + tried);
  }
  for (const std::string& name : search.names)
    if (void* const library = open(name, RTLD_NOLOAD)) return library;

  std::vector<std::string> directories;
  if (const char* const given = std::getenv("FASTNTK_CUDA_LIBRARY_PATH")) directories = split(given);
  if (const std::string packages = packages_directory(); !packages.empty())
    for (const std::string& directory : search.directories) directories.push_back(packages + "/" + directory);
  for (const std::string& directory : directories) {
    bool exists = false;
    for (const std::string& name : search.names) {
      const std::string path = directory + "/" + name;
      std::error_code ignored;
      if (!std::filesystem::exists(path, ignored)) continue;
      exists = true;
      if (void* const library = open(path, 0)) return library;
    }
    if (!exists) tried += "\n  " + directory + ": not there";
  }
  for (const std::string& name : search.names)
    if (void* const library = open(name, 0)) return library;
  throw BackendError(search.title + " was not found. Install it with `pip install fastntk[cuda]`, or set " +
                     search.variable + " to the file " + search.names.front() + ". Tried:" + tried);
}

void* symbol(void* library, const LibrarySearch& search, const char* name) {
  if (void* const address = dlsym(library, name)) return address;
  throw BackendError(search.title + " has no " + name + "; version 12 or newer is needed (`pip install -U fastntk[cuda]`)");
}

}  // namespace fastntk::cuda
