"""Files' failures that mean that a disk takes no writes, though what it holds may well be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: Full, over its quota or the process's own limit, read-only, failing.
NO_WRITES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
READ_ONLY = os.strerror(errno.EROFS)


def is_read_only(path: Path) -> bool:
    """Whether the disk that a file or folder is on is mounted to be read only."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
