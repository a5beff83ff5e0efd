"""How many workers a machine bears."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: Bytes of memory for each worker: one takes 150 MB, and large pictures up to as much again, beside the server's 300 MB.
BYTES_EACH = 1 << 30

#: Workers at most if their number is not set.
MAX_DEFAULT = 15

#: What a control group may use of the machine's memory: of the second and of the first version.
_GROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def default_count(cores: int, memory: int) -> int:
    """Return a number for a machine with these cores and bytes of memory: a core is the server's own, and memory suffices."""
    return max(0, min(cores - 1, memory // BYTES_EACH, MAX_DEFAULT))


def usable_memory(limits: tuple[Path, ...] = _GROUP_LIMITS) -> int:
    """Return the bytes of memory that this process may use: the machine's, or those that a container is limited to."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        with suppress(OSError, ValueError):  # no such file, or "max"
            found.append(int(limit.read_text()))
    return min(found)
