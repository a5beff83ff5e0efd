"""Disks that tests mount: small ones to be filled up, and folders that become read-only."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class SmallDisk:
    """A disk in memory, mounted at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kilobytes: int) -> None:
        """Make it as large as that."""
        mount("-o", f"remount,size={kilobytes}k", self.path)

    def free(self) -> int:
        """Return how many bytes are free."""
        return shutil.disk_usage(self.path).free

    def fill(self) -> None:
        """Take all the room there is."""
        with self._rubbish.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))

    def clear(self) -> None:
        """Give back the room that was taken."""
        self._rubbish.unlink()

    @property
    def _rubbish(self) -> Path:
        return self.path / "rubbish"


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Mount a disk of that size at a new folder, and take it away again."""
    path.mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes=2k", "none", path):
        yield SmallDisk(path)


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """Mount what the arguments say, the last of which is the path, and take it away again."""
    mount(*arguments)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(arguments[-1])], check=True)


def mount(*arguments: str | Path) -> None:
    """Run ``mount``. Skips the test where nothing can be mounted."""
    if shutil.which("mount") is None:
        pytest.skip("no disk can be mounted here: there is no mount")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
