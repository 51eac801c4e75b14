// What the host's system says of memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace fastntk {

struct HostMemory {
  /// Bytes that this process can still take: the machine's, or less where a control group limits it. Cached files count as
  /// available, as the system gives them up first. Nothing if the system does not say.
  std::optional<std::uint64_t> available;
  /// The smallest limit of the control groups that the process is in, parents included, if the machine has more.
  std::optional<std::uint64_t> limit;
};

/// Reads /proc/meminfo and the control groups (versions 1 and 2) of the process, below `root`. What is not there, or not as
/// expected, sets no limit.
HostMemory host_memory(const std::filesystem::path& root = "/");

}  // namespace fastntk
