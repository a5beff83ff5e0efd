"""The queue in front of the request threads: fair between callers, and bounded in length and in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from lookalike.errors import Abandoned, Busy
from lookalike.limits.call import Call
from lookalike.limits.fair_share import FairShare, Turn
from lookalike.server.api_gateway import Received
from lookalike.server.sender import sender_of
from lookalike.wire.claims import claimed

#: Requests that may wait. They are in memory; one more, and the last one of whoever has most of them is refused.
_WAITING = 384

#: Callers remembered as proved.
_KNOWN = 10_000


class QueuedCall(Call):
    """A request from its arrival to its answer.

    Parameters
    ----------
    claim : who it claims to be from, and where it came from.
    is_search : whether it may be dropped at any point; of all others nothing is left half done.
    seconds : how long it may wait for its turn, and a search for its answer as well.
    """

    def __init__(self, claim: tuple[str, str], *, is_search: bool, seconds: float) -> None:
        self.claim = claim
        self.key = ""
        self.tenant: str | None = None
        self.when_gone: Callable[[], None] = lambda: None
        self._is_search = is_search
        self._end = time.monotonic() + seconds
        self._gone = False
        self._refused = False
        self._reading: Turn | None = None

    @property
    def seconds_left(self) -> float:
        """How long it may still wait."""
        return self._end - time.monotonic()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more, and it may be dropped."""
        return self._is_search and self._gone

    def leave(self) -> None:
        """Learn that the client is gone."""
        self._gone = True
        if self._is_search:
            self.when_gone()

    def refuse(self) -> None:
        """From here on the service is too busy for it."""
        self._refused = True

    def check(self) -> None:
        """Raise Abandoned or Busy if it should not be worked on any further."""
        if self.abandoned:
            raise Abandoned("the client is gone")
        if self._refused or (self._is_search and self.seconds_left <= 0):
            raise Busy("waited too long")

    def belongs_to(self, tenant: str) -> None:
        """Learn whose call it is. What it takes from here on is asked for in the tenant's name."""
        self.tenant = tenant
        if self._reading is not None:
            self._reading.end()

    @contextmanager
    def reading(self, processors: FairShare) -> Iterator[None]:
        """A context that computes in the name of the queue the call was in, until it is proved whose call it is."""
        self._reading = processors.turn(self.key, check=self.check)
        with self._reading:
            yield


class RequestQueue:
    """Hands out the request threads. Its methods are called in the event loop alone.

    A caller that has once proved who it is waits in a queue of its tenant. All that have not, from one address, share
    one: nobody gets more turns by claiming to be many, and nobody's turns go to those who merely claim a key.

    Parameters
    ----------
    threads : how many there are. One tenant, or one address, has three quarters of them at most.
    seconds : how long a request may wait.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._share = FairShare(threads, max_per_key=max(threads * 3 // 4, 1), max_waiting=_WAITING)
        self._seconds = seconds
        self._tenants: dict[tuple[str, str], str] = {}

    def call(self, received: Received, *, is_search: bool) -> QueuedCall:
        """What a request is known as while it waits and while it is worked on."""
        headers = {name: value for name, value in received.headers if name == "authorization"}
        claim = claimed(received.query, headers, received.body), sender_of(received.client)
        call = QueuedCall(claim, is_search=is_search, seconds=self._seconds)
        call.key = self._tenants.get(claim) or f"someone at {claim[1]}"
        return call

    @asynccontextmanager
    async def turn(self, call: QueuedCall) -> AsyncIterator[None]:
        """A context that has a thread. Entering it raises Busy, or Abandoned for a search whose client is gone."""
        decided = asyncio.get_running_loop().create_future()

        def decide() -> None:
            if not decided.done():
                decided.set_result(None)

        call.when_gone = decide
        ticket = self._share.ask(call.key, 1, decide)
        try:
            if not decided.done():
                await asyncio.wait([decided], timeout=call.seconds_left)
            if call.abandoned:
                raise Abandoned("the client is gone")
            if not ticket.granted:
                raise Busy("waited too long")
            yield
        finally:
            self._share.end(ticket)
            self._remember(call)

    def _remember(self, call: QueuedCall) -> None:
        if call.tenant is not None and call.claim[0]:
            self._tenants.pop(call.claim, None)
            self._tenants[call.claim] = call.tenant
            if len(self._tenants) > _KNOWN:
                del self._tenants[next(iter(self._tenants))]
