"""Complete requests are received, and unfinished ones hold no more than their share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest

from lookalike.server import api_gateway, receiving
from lookalike.server.api_gateway import HttpRequest
from lookalike.server.receiving import RequestReceiver, Scope


def scope(client: str = "192.0.2.1", target: str = "/rest/x", **headers: str) -> Scope:
    return {
        "method": "POST",
        "raw_path": target.encode(),
        "query_string": b"a=1",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "x", **headers}.items()],
        "client": (client, 1),
    }


class Client:
    """A client that sends pieces on command."""

    def __init__(self, pieces: Iterable[bytes] = (), *, ends: bool = False) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for piece in pieces:
            self.send(piece)
        if ends:
            self.send(b"", more=False)

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))


async def whole(pieces: Iterable[bytes], **said: str) -> object:
    client = Client(pieces, ends=True)
    return await RequestReceiver().receive_request(scope(**said), client.messages.get)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_request_is_taken_in_as_it_was_sent() -> None:
    received = asyncio.run(whole([b"ab", b"", b"cd"], client="2001:db8::1", target="/rest/%20x"))
    assert isinstance(received, HttpRequest)
    assert (received.method, received.path, received.query) == ("POST", "/rest/%20x", "a=1")
    assert (received.body, received.client, received.headers) == (b"abcd", "2001:db8::1", (("host", "x"),))


def test_of_a_request_to_a_whole_address_that_is_the_host() -> None:
    received = asyncio.run(whole([b""], target="http://y:80/rest/x"))
    assert isinstance(received, HttpRequest)
    assert (received.path, received.headers) == ("/rest/x", (("host", "y:80"),))


def test_what_is_too_large_is_refused_once_it_has_been_sent() -> None:
    piece = bytes(api_gateway.MAX_BODY_BYTES)
    assert isinstance(asyncio.run(whole([piece])), HttpRequest)
    assert asyncio.run(whole([piece, b"x"])) == api_gateway.TOO_LARGE
    assert asyncio.run(whole([piece] * 5)) == api_gateway.TOO_LARGE
    assert asyncio.run(whole([b"x"], long="x" * api_gateway.MAX_HEADER_BYTES)) == api_gateway.HEADERS_TOO_LARGE


def test_what_says_that_it_is_far_too_large_is_refused_at_once() -> None:
    async def story() -> None:
        asked = {**scope(), "headers": [(b"content-length", b"99999999999")]}
        nothing = Client([])
        assert await RequestReceiver().receive_request(asked, nothing.messages.get) == api_gateway.TOO_LARGE

    run(story())


def test_a_body_that_breaks_off_is_never_worked_on() -> None:
    async def story() -> None:
        client = Client([b"cont_sign=1,2;"])
        client.leave()
        assert await RequestReceiver().receive_request(scope(), client.messages.get) is None

    run(story())


def test_a_body_has_its_time_and_every_byte_earns_it_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(receiving, "MIN_BYTES_PER_SECOND", 1000)

    async def story() -> None:
        silent, busy = Client([b"x"]), Client([b"x" * 60_000])
        service = RequestReceiver()
        coming = asyncio.create_task(service.receive_request(scope(), busy.messages.get))
        assert await service.receive_request(scope(), silent.messages.get) == api_gateway.TOO_SLOW
        await asyncio.sleep(0.2)
        busy.send(b"y", more=False)
        assert isinstance(await coming, HttpRequest)

    run(story())


def test_of_too_many_from_one_address_the_quietest_goes_and_others_keep_theirs() -> None:
    async def story() -> None:
        service = RequestReceiver(max_bodies_per_sender=3)
        clients = [Client([b"x"]) for _ in range(3)]
        tasks = [asyncio.create_task(service.receive_request(scope(), client.messages.get)) for client in clients]
        elsewhere = Client([b"x"])
        other = asyncio.create_task(service.receive_request(scope("192.0.2.2"), elsewhere.messages.get))
        await settled()
        clients[0].send(b"x")  # so the second has been silent for longest
        await settled()
        assert isinstance(
            await service.receive_request(scope(), Client([b"good"], ends=True).messages.get), HttpRequest
        )
        assert await tasks[1] == api_gateway.TOO_SLOW
        for client, task in ((clients[0], tasks[0]), (clients[2], tasks[2]), (elsewhere, other)):
            client.send(b"", more=False)
            assert isinstance(await task, HttpRequest)

    run(story())


def test_an_ipv6_site_is_one_sender() -> None:
    async def story() -> None:
        service = RequestReceiver(max_bodies_per_sender=1)
        first = asyncio.create_task(service.receive_request(scope("2001:db8::1"), Client([b"x"]).messages.get))
        await settled()
        assert isinstance(
            await service.receive_request(scope("2001:db8:0:1::1"), Client([b""], ends=True).messages.get), HttpRequest
        )
        assert not first.done()
        assert isinstance(
            await service.receive_request(scope("2001:db8::2"), Client([b""], ends=True).messages.get), HttpRequest
        )
        assert await first == api_gateway.TOO_SLOW

    run(story())


def test_memory_is_bounded_and_who_holds_most_gives_up() -> None:
    async def story() -> None:
        service = RequestReceiver(max_bytes=1000)
        flood = [Client([bytes(300)]) for _ in range(3)]
        tasks = [asyncio.create_task(service.receive_request(scope("192.0.2.66"), one.messages.get)) for one in flood]
        await settled()
        good = Client([bytes(200)])
        coming = asyncio.create_task(service.receive_request(scope(), good.messages.get))
        await settled()
        assert await tasks[0] == api_gateway.TOO_SLOW
        assert not any(task.done() for task in (tasks[1], tasks[2], coming))
        good.send(b"", more=False)
        assert isinstance(await coming, HttpRequest)
        for client, task in ((flood[1], tasks[1]), (flood[2], tasks[2])):
            client.send(b"", more=False)
            assert isinstance(await task, HttpRequest)
        assert isinstance(
            await service.receive_request(scope(), Client([bytes(900)], ends=True).messages.get), HttpRequest
        )

    run(story())


def test_a_thousand_that_never_end_leave_nothing_behind() -> None:
    async def story() -> None:
        service = RequestReceiver(max_bodies_per_sender=5)
        tasks = [
            asyncio.create_task(service.receive_request(scope(), Client([b"x" * 10]).messages.get)) for _ in range(1000)
        ]
        await settled()
        assert sum(task.done() for task in tasks) == 995
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert service == RequestReceiver(max_bodies_per_sender=5)

    run(story())
