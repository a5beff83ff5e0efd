"""Errors of files that mean that a disk refuses writes, though it may still be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: Error numbers of a disk that is full, over quota, read-only or failing, and of a file over the process's size limit.
WRITE_REFUSED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})

#: The system's words for a read-only disk.
READ_ONLY_REASON = os.strerror(errno.EROFS)


def is_read_only(path: Path) -> bool:
    """Return whether the disk of a file or folder is mounted read-only. Raises OSError."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
