"""Twemoji by category, from a pinned wheel.

Graphics: Twemoji, copyright 2020 Twitter, Inc and other contributors, CC BY 4.0 (the wheel's METADATA says so). They
are downloaded when asked for, kept below build/, and never committed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.quality.sets import SetError

WHEEL = "augly-1.0.0-py3-none-any.whl"
SHA256 = "bb50f9b6fce5045f302ab8934e2a47fc61bc5b237778a59332c13dee6a886acb"
CREDIT = "emoji: Twemoji, © 2020 Twitter, Inc and other contributors, CC BY 4.0, out of augly 1.0.0 (24 MB)"

#: Folders of the wheel by the names that tables use.
CATEGORIES = {"faces": "smileys", "objects": "objects", "flags": "flags", "symbols": "symbols"}


def categories(folder: Path) -> dict[str, list[bytes]]:
    """PNG files by category, in the order of their names; the wheel is downloaded into ``folder`` if it is not there.

    Raises SetError.
    """
    wheel = folder / WHEEL
    if not wheel.is_file():
        _download(folder)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise SetError(f"{wheel}: another file than the one that is pinned; delete it")
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(archive.namelist())
        return {
            category: [archive.read(name) for name in names if name.startswith(f"augly/assets/twemojis/{sub}/")]
            for category, sub in CATEGORIES.items()
        }


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "augly==1.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / WHEEL).is_file():
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetError(f"augly 1.0.0 cannot be downloaded: {last}")
