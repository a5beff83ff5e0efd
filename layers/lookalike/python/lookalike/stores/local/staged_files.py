"""Files sent ahead, in a folder of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from lookalike.domain.staged import PostForm
from lookalike.errors import Unavailable
from lookalike.ports.staging import StagedFiles

#: Ending of a file that is being received.
_PARTIAL = ".part"


class StagedFolder(StagedFiles):
    """Keeps each file under its key, which is two plain names. The service itself receives them.

    Parameters
    ----------
    root : the folder, created with mode 0700 at the first file; files have mode 0600.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def post_form(self, key: str, max_bytes: int, seconds: int) -> PostForm | None:
        """None: the service takes files itself, and :meth:`receive` stores them."""
        return None

    def read(self, key: str) -> bytes | None:
        with self._errors_as_unavailable():
            try:
                return (self._root / key).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, key: str) -> None:
        with self._errors_as_unavailable():
            (self._root / key).unlink(missing_ok=True)

    def remove_older(self, before: int) -> None:
        """Remove files last written before that Unix millisecond, half received ones too, and folders left empty."""
        with self._errors_as_unavailable():
            for folder in list(self._root.iterdir()) if self._root.is_dir() else []:
                for path in folder.iterdir():
                    with suppress(FileNotFoundError):  # used meanwhile
                        if path.stat().st_mtime * 1000 < before:
                            path.unlink()
                with suppress(OSError):  # not empty
                    folder.rmdir()

    @contextmanager
    def receive(self, key: str) -> Iterator[BinaryIO]:
        """Open the file of that key for writing; at the end of the block it is there, durable and whole.

        An exception within the block leaves nothing behind. Raises FileExistsError if the file is there by the end, and
        Unavailable.
        """
        path = self._root / key
        partial = path.with_name(uuid4().hex + _PARTIAL)
        with self._errors_as_unavailable():
            self._root.mkdir(mode=0o700, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with os.fdopen(
                    os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
                ) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.link(partial, path)  # unlike a rename, it replaces nothing
            finally:
                partial.unlink(missing_ok=True)

    @contextmanager
    def _errors_as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            raise Unavailable(f"{self._root}: {error.strerror}") from error
