"""The request queue: which callers wait for which, how long, and which requests are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lookalike.errors import Abandoned, Busy
from lookalike.limits.fair_share import FairShare
from lookalike.server import api_gateway
from lookalike.server.api_gateway import HttpRequest
from lookalike.server.request_queue import QueuedCall, RequestQueue

#: Seconds to wait for events that must not happen, and for those that must.
A_WHILE, SOON = 0.05, 30


def request(app_id: str = "1", client: str = "192.0.2.1") -> HttpRequest:
    return HttpRequest("POST", "/", f"appId={app_id}", (), b"", client, api_gateway.now())


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, SOON))


async def enters(queue: RequestQueue, call: QueuedCall) -> bool:
    """Return whether a call gets a thread at once; release the thread."""

    async def enter() -> None:
        async with queue.turn(call):
            pass

    try:
        await asyncio.wait_for(enter(), A_WHILE)
    except TimeoutError:
        return False
    return True


async def prove(queue: RequestQueue, received: HttpRequest, tenant: str) -> None:
    call = queue.call(received, is_search=False)
    async with queue.turn(call):
        call.belongs_to(tenant)


def test_a_flood_leaves_threads_to_others() -> None:
    async def work() -> None:
        queue = RequestQueue(4, SOON)
        async with AsyncExitStack() as flood:
            for _ in range(3):
                await flood.enter_async_context(queue.turn(queue.call(request(), is_search=False)))
            assert not await enters(queue, queue.call(request(), is_search=False))
            assert await enters(queue, queue.call(request(client="192.0.2.2"), is_search=False))

    run(work())


def test_who_only_claims_to_be_many_is_one() -> None:
    async def work() -> None:
        queue = RequestQueue(4, SOON)
        async with AsyncExitStack() as flood:
            for number in range(3):
                await flood.enter_async_context(queue.turn(queue.call(request(str(number)), is_search=False)))
            assert not await enters(queue, queue.call(request("9"), is_search=False))

    run(work())


def test_tenants_behind_one_address_have_queues_of_their_own_once_they_are_proved() -> None:
    async def work() -> None:
        queue = RequestQueue(4, SOON)
        await prove(queue, request("1"), "one")
        await prove(queue, request("2"), "two")
        async with AsyncExitStack() as flood:
            for _ in range(3):
                await flood.enter_async_context(queue.turn(queue.call(request("1"), is_search=False)))
            assert not await enters(queue, queue.call(request("1"), is_search=False))
            assert await enters(queue, queue.call(request("2"), is_search=False))

    run(work())


def test_a_tenants_addresses_have_one_queue_together_and_a_forger_is_not_in_it() -> None:
    async def work() -> None:
        queue = RequestQueue(4, SOON)
        for number in (1, 2, 3):
            await prove(queue, request("1", f"192.0.2.{number}"), "one")
        async with AsyncExitStack() as flood:
            for number in (1, 2, 3):
                call = queue.call(request("1", f"192.0.2.{number}"), is_search=False)
                await flood.enter_async_context(queue.turn(call))
            assert not await enters(queue, queue.call(request("1", "192.0.2.1"), is_search=False))
            assert await enters(queue, queue.call(request("1", "192.0.2.66"), is_search=False))

    run(work())


def test_what_is_not_proved_computes_in_the_name_of_its_queue_until_it_is() -> None:
    async def work() -> None:
        queue, processors = RequestQueue(4, SOON), FairShare(2, max_per_key=1)
        call = queue.call(request(), is_search=False)
        with call.turn_before_authentication(processors):
            ticket = processors.ask(call.key, 1, lambda: None)
            assert not ticket.granted
            call.belongs_to("tenant")
            assert ticket.granted

    run(work())


def test_a_network_of_ipv6_is_one_address() -> None:
    async def work() -> None:
        queue = RequestQueue(4, SOON)
        async with AsyncExitStack() as flood:
            for number in range(3):
                call = queue.call(request(client=f"2001:db8::{number}"), is_search=False)
                await flood.enter_async_context(queue.turn(call))
            assert not await enters(queue, queue.call(request(client="2001:db8::ffff"), is_search=False))
            assert await enters(queue, queue.call(request(client="2001:db8:0:1::1"), is_search=False))

    run(work())


@pytest.mark.parametrize("is_search", [True, False])
def test_the_wait_is_bounded(is_search: bool) -> None:
    async def work() -> None:
        queue = RequestQueue(1, A_WHILE)
        async with queue.turn(queue.call(request(), is_search=False)):
            with pytest.raises(Busy):
                await queue.turn(queue.call(request(), is_search=is_search)).__aenter__()
        assert await enters(queue, queue.call(request(), is_search=is_search))

    run(work())


def test_a_search_whose_client_is_gone_is_dropped_at_once_and_anything_else_is_done() -> None:
    async def work() -> None:
        queue = RequestQueue(1, SOON)
        search, add = queue.call(request(), is_search=True), queue.call(request(), is_search=False)
        async with queue.turn(queue.call(request(), is_search=False)):
            searching = asyncio.create_task(queue.turn(search).__aenter__())
            adding = asyncio.create_task(queue.turn(add).__aenter__())
            await asyncio.sleep(0)
            search.client_left()
            add.client_left()
            with pytest.raises(Abandoned):
                await searching
            assert not adding.done()
        await adding
        add.check()
        with pytest.raises(Abandoned):
            search.check()

    run(work())


def test_a_search_that_has_begun_ends_when_its_time_is_over_and_an_add_does_not() -> None:
    async def work() -> None:
        queue = RequestQueue(2, A_WHILE)
        search, add = queue.call(request(), is_search=True), queue.call(request(), is_search=False)
        async with queue.turn(search):
            search.check()
            await asyncio.sleep(2 * A_WHILE)
            add.check()
            with pytest.raises(Busy):
                search.check()
        add.refuse()
        with pytest.raises(Busy):
            add.check()

    run(work())


def test_when_too_many_wait_the_last_of_whoever_has_most_is_refused() -> None:
    async def work() -> None:
        queue = RequestQueue(1, SOON)
        async with queue.turn(queue.call(request(), is_search=False)):
            flood = [
                asyncio.create_task(queue.turn(queue.call(request(), is_search=False)).__aenter__()) for _ in range(384)
            ]
            await asyncio.sleep(0)
            other = asyncio.create_task(
                queue.turn(queue.call(request(client="192.0.2.2"), is_search=False)).__aenter__()
            )
            with pytest.raises(Busy):
                await flood[-1]
            assert not other.done()
        await other
        for task in flood:
            task.cancel()

    run(work())
