"""Processes that tests start or kill, watched from outside."""

from __future__ import annotations

import time
from pathlib import Path


def gone(pid: int) -> bool:
    """Wait until a process has ended, for at most 30 seconds; one that nobody waits for stays as a zombie."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return True
        # A process whose first thread has ended is a zombie, too, and cannot be waited for until its others have.
        state, threads = fields[0], fields[17]
        if state == "Z" and threads == "1":
            return True
        time.sleep(0.02)
    return False
