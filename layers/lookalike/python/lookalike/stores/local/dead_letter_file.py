"""Dead letters in a file of JSON lines."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from lookalike.domain.upload import DeadLetter
from lookalike.errors import Unavailable
from lookalike.ports import Clock, DeadLetters


class FileDeadLetters(DeadLetters):
    """Appends dead letters to a file, one line of JSON each, and none twice.

    ``body`` is the message as it arrived; ``file`` names the file it is about, if any. The operator may truncate or
    delete the file at any time.

    Parameters
    ----------
    path : the file, created with mode 0600 by the first letter.
    clock : returns the time of a letter, in Unix milliseconds.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._known: set[tuple[str, str, str]] = set()
        self._size = 0  # of the file when the known letters were read or written

    def send(self, letter: DeadLetter) -> None:
        record = {"time": self._clock(), "operation": letter.operation, "reason": letter.reason}
        record |= {"file": letter.file} if letter.file else {}
        line = json.dumps(record | {"body": letter.body}).encode() + b"\n"
        try:
            with self._lock:
                self._reload()
                if _identity(letter) in self._known:
                    return
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    size = os.fstat(file).st_size
                    if os.write(file, line) < len(line):  # a disk with room for a part of it
                        os.ftruncate(file, size)
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(file)
                    self._size = size + len(line)
                    self._known.add(_identity(letter))
                finally:
                    os.close(file)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error

    def count(self) -> int:
        """Return the number of letters in the file. Raises Unavailable."""
        try:
            with self._lock:
                self._reload()
                return len(self._known)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error

    def _reload(self) -> None:
        """Read the file's letters if its size has changed. Raises OSError."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size != self._size:
            self._size, self._known = size, set(_identities(self._path) if size else ())


def _identity(letter: DeadLetter) -> tuple[str, str, str]:
    """Return the fields by which a letter is recognised as a repetition."""
    return letter.operation, letter.reason, letter.body


def _identities(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
            yield str(record["operation"]), str(record["reason"]), str(record["body"])
        except (KeyError, RecursionError, TypeError, ValueError):  # a line that is not ours
            continue
