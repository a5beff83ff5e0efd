"""A worker's side of the conversation: the index and the call, as its server has them."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from lookalike.domain.picture import Picture
from lookalike.domain.search import Candidate, Query
from lookalike.errors import Abandoned, Unavailable
from lookalike.limits.call import Call
from lookalike.ports.listing import UnlistedIndex
from lookalike.server.workers.frames import is_readable, receive_frame, send_frame
from lookalike.server.workers.messages import Word, unpack_candidates


class AskedCall(Call):
    """The server's call: it ends when the server says so, or is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def check(self) -> None:
        """Raise Abandoned if the server has said anything: while a picture is looked for, that can only be to stop."""
        if is_readable(self._connection, 0):
            raise Abandoned("the server no longer waits")


class AskedIndex(UnlistedIndex):
    """The server's index, asked on behalf of one question after another.

    ``number`` tells which of the question's candidates is the how manieth, by their ``id()``.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.number: dict[int, int] = {}
        self._candidates: list[Candidate] = []  # kept, so that none of them gets the id() of another
        self._connection = connection

    def begin(self) -> None:
        """Forget the candidates of the question before."""
        self.number, self._candidates = {}, []

    def search(self, query: Query) -> Sequence[Candidate]:
        """Ask for the nearest pictures. All of the query but its vectors, float32, is known to the server."""
        send_frame(self._connection, [Word.NEAREST, len(query.vectors)], query.vectors.tobytes())
        (word, *_), data = receive_frame(self._connection)
        if word != Word.CANDIDATES:
            raise Abandoned("the server no longer waits")
        found = unpack_candidates(data)
        self.number |= {id(one): len(self._candidates) + place for place, one in enumerate(found)}
        self._candidates += found
        return found

    def write(self, pictures: Sequence[Picture], *, wait: bool = True) -> None:
        raise Unavailable("a worker writes nothing")

    def remove(self, pictures: Sequence[Picture], *, wait: bool = False) -> None:
        raise Unavailable("a worker removes nothing")

    def count(self, *libraries: str) -> int:
        raise Unavailable("a worker counts nothing")
