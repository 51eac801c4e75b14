"""What the system says of memory, from folders that look like its own."""

import pytest
from fastntk import _core

GIB = 1 << 30


@pytest.fixture
def system(tmp_path):
    """Writes files below a root of its own, and asks for (what is available, the limit) there."""

    def ask(**files):
        files = {"proc/meminfo": f"MemTotal: {64 << 20} kB\nMemAvailable:   {32 << 20} kB\nCached: 1 kB\n"} | files
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))
        return _core.host_memory(tmp_path)

    return ask


def group(path, limit, used, inactive=0, active=0):
    stat = f"anon 5\nfile {inactive + active}\ninactive_anon 3\ninactive_file {inactive}\nactive_file {active}\n"
    names = {"memory.max": limit, "memory.current": used, "memory.stat": stat}
    return {f"sys/fs/cgroup/{path}{name}": text for name, text in names.items()}


def group_1(path, limit, used, inactive=0, active=0):
    stat = f"inactive_file 1\nactive_file 1\ntotal_inactive_file {inactive}\ntotal_active_file {active}\n"
    names = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat}
    return {f"sys/fs/cgroup/memory/{path}{name}": text for name, text in names.items()}


def test_the_machine_alone(system):
    assert system() == (32 * GIB, None)


def test_a_system_that_says_nothing(tmp_path):
    assert _core.host_memory(tmp_path) == (None, None)


def test_files_in_memory_are_available(system):
    files = group("", 4 * GIB, 4 * GIB - 5, inactive=2 * GIB, active=GIB)
    assert system(**{"proc/self/cgroup": "0::/\n"}, **files) == (3 * GIB + 5, 4 * GIB)


@pytest.mark.parametrize("tight", [0, 1, 2])
def test_groups_above_limit_too(system, tight):
    files = {"proc/self/cgroup": "0::/system.slice/job 7.scope\n"}
    for number, path in enumerate(["", "system.slice/", "system.slice/job 7.scope/"]):
        files |= group(path, 2 * GIB if number == tight else "max", GIB)
    assert system(**files) == (GIB, 2 * GIB)


def test_version_1(system):
    none = 2**63 - 4096
    files = {"proc/self/cgroup": "5:cpu,cpuacct:/\n4:hugetlb,memory:/a/b\n1:name=systemd:/\n0::/\n"}
    assert system(**files, **group_1("", none, GIB)) == (32 * GIB, None)
    assert system(**group_1("a/", 3 * GIB, 3 * GIB, GIB, 5)) == (GIB + 5, 3 * GIB)
    assert system(**group_1("a/b/", 3 * GIB, 4 * GIB)) == (0, 3 * GIB)


def test_a_container_that_sees_the_path_outside(system):
    files = {"proc/self/cgroup": "4:memory:/docker/0123\n"}
    assert system(**files, **group_1("", 2 * GIB, GIB)) == (GIB, 2 * GIB)


@pytest.mark.parametrize("limit", ["", "max", "-", "word\n"])
def test_what_is_no_number_sets_no_limit(system, limit):
    assert system(**{"proc/self/cgroup": "0::/\nnothing\n0:\n"}, **group("", limit, GIB)) == (32 * GIB, None)


def test_here():
    available, limit = _core.host_memory()
    assert available is None or available >= 0
    assert limit is None or limit > 0
