"""Queues requests in front of the request threads: fair between callers, bounded in length and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from lookalike.errors import Abandoned, Busy
from lookalike.limits.call import Call
from lookalike.limits.fair_share import FairShare, Turn
from lookalike.limits.sender import sender_of
from lookalike.server.api_gateway import HttpRequest
from lookalike.wire.claims import claimed

#: Requests that may wait, in memory. One more, and the last one of the caller with the most is refused.
_MAX_WAITING = 384

#: Claims remembered with the tenant that they were authenticated as.
_MAX_REMEMBERED_TENANTS = 10_000


class QueuedCall(Call):
    """A request, from its arrival to its answer.

    Parameters
    ----------
    claim : the key that the request names, and its sender.
    is_search : whether it may be dropped at any point; other requests are finished once begun.
    seconds : time that it may wait for its turn, and a search for its answer as well.
    """

    def __init__(self, claim: tuple[str, str], *, is_search: bool, seconds: float) -> None:
        self.claim = claim
        self.key = ""
        self.tenant: str | None = None
        self.on_client_gone: Callable[[], None] = lambda: None
        self._is_search = is_search
        self._deadline = time.monotonic() + seconds
        self._client_gone = False
        self._refused = False
        self._unauthenticated_turn: Turn | None = None
        self.outcome = ""
        self.stages: dict[str, float] = {}

    @property
    def seconds_left(self) -> float:
        """Seconds that the request may still wait."""
        return self._deadline - time.monotonic()

    @property
    def abandoned(self) -> bool:
        """Whether its client is gone and it may be dropped."""
        return self._is_search and self._client_gone

    def looked(self, stage: str, milliseconds: float) -> None:
        """Add up the milliseconds of a search's stage."""
        self.stages[stage] = self.stages.get(stage, 0.0) + milliseconds

    def answered(self, outcome: str) -> None:
        """Note what became of the request."""
        self.outcome = outcome

    def client_left(self) -> None:
        """Note that the client is gone."""
        self._client_gone = True
        if self._is_search:
            self.on_client_gone()

    def refuse(self) -> None:
        """Refuse the request from now on, as Busy."""
        self._refused = True

    def check(self) -> None:
        """Raise Abandoned or Busy if work on the request should stop."""
        if self.abandoned:
            raise Abandoned("the client is gone")
        if self._refused or (self._is_search and self.seconds_left <= 0):
            raise Busy("waited too long")

    def belongs_to(self, tenant: str) -> None:
        """Note the authenticated tenant. Its resources are charged to the tenant from now on."""
        self.tenant = tenant
        if self._unauthenticated_turn is not None:
            self._unauthenticated_turn.end()

    @contextmanager
    def turn_before_authentication(self, processors: FairShare) -> Iterator[None]:
        """Hold a processor in the name of the call's queue, until its tenant is authenticated."""
        self._unauthenticated_turn = processors.turn(self.key, check=self.check)
        with self._unauthenticated_turn:
            yield


class RequestQueue:
    """Hands out the request threads. Its methods are called in the event loop alone.

    A caller that was authenticated before waits in the queue of its tenant. All others of one sender share a queue: a
    sender gets no more turns by claiming many keys, and no tenant loses turns to callers that merely claim its key.

    Parameters
    ----------
    threads : number of request threads. One tenant, or one sender, has three quarters of them at most.
    seconds : time that a request may wait.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._share = FairShare(threads, max_per_key=max(threads * 3 // 4, 1), max_waiting=_MAX_WAITING)
        self._seconds = seconds
        self._tenants: dict[tuple[str, str], str] = {}

    def call(self, request: HttpRequest, *, is_search: bool) -> QueuedCall:
        """Return the call of a request, which names its queue."""
        headers = {name: value for name, value in request.headers if name in ("authorization", "cookie")}
        claim = claimed(request.query, headers, request.body), sender_of(request.client)
        call = QueuedCall(claim, is_search=is_search, seconds=self._seconds)
        call.key = self._tenants.get(claim) or f"someone at {claim[1]}"
        return call

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a thread."""
        return self._share.waiting

    @asynccontextmanager
    async def turn(self, call: QueuedCall) -> AsyncIterator[None]:
        """Hold a thread. Entering raises Busy, or Abandoned for a search whose client is gone."""
        decided = asyncio.get_running_loop().create_future()

        def decide() -> None:
            if not decided.done():
                decided.set_result(None)

        call.on_client_gone = decide
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
            if len(self._tenants) > _MAX_REMEMBERED_TENANTS:
                del self._tenants[next(iter(self._tenants))]
