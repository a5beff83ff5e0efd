"""The files of the console: read once, compressed once, and named by what is in them."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Where the console is.
BASE = "/console"

#: Stands in index.html for the folder of all other files, whose name changes with any of them: ``{base}main.js``.
PLACEHOLDER = re.compile(rb"\{\{?base\}\}?/?")

#: The first segment of such a path, of this version or of one before.
HASHED = re.compile(r"[0-9a-f]{8}")

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
_PLAIN = "text/plain; charset=utf-8"

#: Types that are compressed already.
_COMPRESSED = ("image/png", "image/webp")


@dataclass(frozen=True, slots=True)
class File:
    """A file: its bytes, the same in gzip if that is smaller, its type, and an ETag."""

    data: bytes
    gzipped: bytes | None
    content_type: str
    etag: str

    @classmethod
    def of(cls, name: str, data: bytes) -> File:
        """Return the file of that name."""
        content_type = _TYPES.get(Path(name).suffix, _PLAIN)
        small = None if content_type in _COMPRESSED else gzip.compress(data, 9, mtime=0)
        gzipped = small if small is not None and len(small) < len(data) else None
        return cls(data, gzipped, content_type, f'W/"{hashlib.sha256(data).hexdigest()[:16]}"')


@dataclass(frozen=True, slots=True)
class Site:
    """The start page, None if there is none, and all other files by their paths."""

    index: File | None
    files: Mapping[str, File]

    @classmethod
    def of(cls, folder: Path) -> Site:
        """Read a folder. One that is not there is an empty site."""
        read = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        base = f"{BASE}/{_hash(read)}/"
        index = read.pop("index.html", None)
        return cls(
            index=None if index is None else File.of("index.html", PLACEHOLDER.sub(base.encode(), index)),
            files={f"{base}{name}": File.of(name, data) for name, data in read.items()},
        )


def _hash(files: Mapping[str, bytes]) -> str:
    """Return 8 hex digits that any change of a name or of a file changes."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:8]
