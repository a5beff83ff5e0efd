"""A worker as its server has it: a process, and the socket that leads to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from lookalike.domain.picture import DIMENSION
from lookalike.domain.search import Candidate, Found
from lookalike.ports import Looking
from lookalike.server.workers.frames import LostError, is_readable, receive_frame, send_frame
from lookalike.server.workers.messages import Answer, Question, Word, pack_candidates
from lookalike.server.workers.plain import from_plain, to_plain
from lookalike.settings import Settings

#: Settings that change what a worker finds, or logs.
_SETTINGS = ("model", "model_threads", "min_agreement", "log_level")

#: Seconds that a worker may take to load the model: a second on a quiet core.
_MAX_START_SECONDS = 60.0

#: Seconds between the checks whether a search is still wanted.
_POLL_SECONDS = 0.5

#: Seconds after which a worker is ended that does not stop when told to, or neither reads nor writes: no stage takes as
#: long.
_MAX_STOP_SECONDS = 10.0

#: Seconds that an idle worker may take to end by itself.
_MAX_END_SECONDS = 5.0


class FailedError(Exception):
    """The worker has looked, and could not say what is found."""


class WorkerProcess:
    """A worker, which looks for one picture at a time.

    It ends when this process does, however that ends: its socket has no other end then. Making one starts the process and
    takes as long as a model takes to load. Raises LostError.
    """

    def __init__(self, settings: Settings) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, and a number
                [sys.executable, "-P", "-m", "lookalike.server.workers.worker", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the server's own has the line that says it is ready
                process_group=0,  # a terminal's interrupt is for the server
            )
        ours.settimeout(_MAX_STOP_SECONDS)
        self._connection = ours
        try:
            send_frame(ours, [Word.OPEN, str(settings.data), {name: getattr(settings, name) for name in _SETTINGS}])
            self._await_ready()
        except LostError:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def find(self, looking: Looking) -> Found:
        """Return what the worker finds.

        Raises LostError if it is gone, FailedError if it cannot tell, and whatever ``looking`` raises when the answer is no longer
        wanted or the index cannot be asked; in all cases but the first the worker can be asked again.
        """
        sent = looking.reduced()
        pixels = np.ascontiguousarray(sent.picture.pixels).reshape(-1)
        send_frame(self._connection, [Word.FIND, to_plain(Question.of(sent))], pixels.data)
        try:
            return self._converse(looking)
        except (LostError, FailedError):
            raise
        except BaseException:
            self._stop()
            raise

    def end(self) -> None:
        """Let the worker end, and wait for it."""
        self._connection.close()
        try:
            self._process.wait(_MAX_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the worker at once."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _await_ready(self) -> None:
        if not is_readable(self._connection, _MAX_START_SECONDS):
            raise LostError(f"not ready within {_MAX_START_SECONDS:.0f} seconds")
        (word, *said), _ = receive_frame(self._connection)
        if word != Word.READY:
            raise LostError(said[0])

    def _converse(self, looking: Looking) -> Found:
        """Answer the worker's questions until it has found what there is."""
        candidates: list[Candidate] = []
        while True:
            (word, *said), data = self._receive(looking.job.call.check)
            if word == Word.FOUND:
                return from_plain(Answer, said[0]).found(candidates)
            if word == Word.FAILED:
                raise FailedError(said[0])
            near = looking.nearest(np.frombuffer(data, np.float32).reshape(-1, DIMENSION))
            send_frame(self._connection, [Word.CANDIDATES], pack_candidates(near))
            candidates += near

    def _receive(self, check: Callable[[], None]) -> tuple[Any, bytearray]:
        while not is_readable(self._connection, _POLL_SECONDS):
            check()
        return receive_frame(self._connection)

    def _stop(self) -> None:
        """Have the worker stop looking, and wait until it has; end it if it does not. A lost one is found lost later."""
        with suppress(LostError):
            send_frame(self._connection, [Word.STOP])
            while is_readable(self._connection, _MAX_STOP_SECONDS):
                (word, *_), _ = receive_frame(self._connection)
                if word in (Word.FOUND, Word.FAILED):
                    return
        self.kill()
