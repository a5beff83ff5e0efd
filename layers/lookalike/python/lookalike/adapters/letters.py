"""Dead letters in a file."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from lookalike.errors import Unavailable
from lookalike.model import DeadLetter
from lookalike.ports import Clock


class FileDeadLetters:
    """A line of JSON for each: the port DeadLetters.

    Parameters
    ----------
    path : the file, made with mode 0600 by the first letter.
    clock : for the time each came, in Unix milliseconds.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()

    def send(self, letter: DeadLetter) -> None:
        """Keep it for the operator. Raises Unavailable."""
        told = {"time": self._clock(), "operation": letter.operation, "reason": letter.reason, "body": letter.body}
        line = json.dumps(told).encode() + b"\n"
        try:
            with self._lock:
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.write(file, line)
                    os.fsync(file)
                finally:
                    os.close(file)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
