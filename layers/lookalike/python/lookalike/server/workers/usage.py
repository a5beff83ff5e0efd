"""What a process on this machine has used, as Linux tells it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time since the process began, and the bytes of memory that it holds now."""

    cpu_seconds: float
    resident_bytes: int


def usage_of(pid: int) -> Usage | None:
    """Return what a process has used (proc_pid_stat(5): fields 14, 15 and 24); None if it is gone, or there is no /proc."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = said.rpartition(")")[2].split()  # from the third on: the second, its name, may hold blanks
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
