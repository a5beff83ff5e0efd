"""Dead letters in a file."""

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
    """A line of JSON for each. What the file holds already is not repeated.

    One about a file names it in ``file``; ``body`` is the message as it came.

    The file is the operator's, who may cut it or take it away at any time.

    Parameters
    ----------
    path : the file, made with mode 0600 by the first letter.
    clock : for the time each came, in Unix milliseconds.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._known: set[tuple[str, str, str]] = set()
        self._size = 0  # of the file that they are in

    def send(self, letter: DeadLetter) -> None:
        told = {"time": self._clock(), "operation": letter.operation, "reason": letter.reason}
        told |= {"file": letter.file} if letter.file else {}
        line = json.dumps(told | {"body": letter.body}).encode() + b"\n"
        try:
            with self._lock:
                self._learn()
                if _essence(letter) in self._known:
                    return
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    size = os.fstat(file).st_size
                    if os.write(file, line) < len(line):  # a disk with room for a part of it
                        os.ftruncate(file, size)
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(file)
                    self._size = size + len(line)
                    self._known.add(_essence(letter))
                finally:
                    os.close(file)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error

    def _learn(self) -> None:
        """Read what the file holds, unless it is as it was left. Raises OSError."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size != self._size:
            self._size, self._known = size, set(_known(self._path) if size else ())


def _essence(letter: DeadLetter) -> tuple[str, str, str]:
    """What two letters that say the same have in common."""
    return letter.operation, letter.reason, letter.body


def _known(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in path.read_bytes().splitlines():
        try:
            told = json.loads(line)
            yield str(told["operation"]), str(told["reason"]), str(told["body"])
        except (KeyError, RecursionError, TypeError, ValueError):  # a line of somebody else's
            continue
