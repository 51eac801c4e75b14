#include <fastntk/host_memory.hpp>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fastntk {
namespace {

namespace fs = std::filesystem;
using Number = std::optional<std::uint64_t>;

// The number after `key` in a file of the kernel's, or its first word; nothing if there is none, or "max".
Number reported(const fs::path& path, std::string_view key = {}) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  for (std::string word; file && !key.empty() && word != key;) file >> word;
  return file >> number ? Number(number) : std::nullopt;
}

Number smaller(Number a, Number b) { return a && b ? std::min(a, b) : a ? a : b; }

// The names of one version's files.
struct Version {
  const char* limit;
  const char* used;
  std::initializer_list<const char*> cached;  // of memory.stat, with the groups below: files that can be given up
};
constexpr Version first{"memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};
constexpr Version second{"memory.max", "memory.current", {"inactive_file", "active_file"}};

// Takes the limit of one group into account.
void limit_by(const fs::path& group, const Version& version, HostMemory& memory) {
  const Number limit = reported(group / version.limit);
  if (!limit) return;
  memory.limit = smaller(memory.limit, limit);
  const Number used = reported(group / version.used);
  if (!used) return;
  std::uint64_t held = *used;
  for (const char* const name : version.cached) held -= std::min(held, reported(group / "memory.stat", name).value_or(0));
  memory.available = smaller(memory.available, *limit - std::min(*limit, held));
}

// The same of a group and of all that it is in. In a container the path may be as the outside sees it: what is mounted is
// then the container's own group, and nothing is found below.
void limit_by_all(const fs::path& mounted, const std::string& group, const Version& version, HostMemory& memory) {
  fs::path at = mounted;
  limit_by(at, version, memory);
  for (const fs::path& part : fs::path(group).relative_path()) {
    if (part == "..") return;  // outside of what is mounted
    at /= part;
    limit_by(at, version, memory);
  }
}

}  // namespace

HostMemory host_memory(const fs::path& root) {
  HostMemory out;
  if (const Number kilobytes = reported(root / "proc/meminfo", "MemAvailable:")) out.available = *kilobytes * 1024;
  // Lines NUMBER:CONTROLLER,CONTROLLER:PATH; version 2 has number 0 and no names.
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1), path = line.substr(b + 1);
    if (controllers.empty()) limit_by_all(root / "sys/fs/cgroup", path, second, out);
    if (controllers.find("memory") != std::string::npos) limit_by_all(root / "sys/fs/cgroup/memory", path, first, out);
  }
  // "No limit" of version 1 is a number that no machine has.
  const Number kilobytes = reported(root / "proc/meminfo", "MemTotal:");
  if (out.limit && kilobytes && *out.limit >= *kilobytes * 1024) out.limit.reset();
  return out;
}

}  // namespace fastntk
