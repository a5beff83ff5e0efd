"""Measures the native API beside Baidu's dialect, bulk adds beside single ones, and thumbnails.

    python -m tests.bench.native [--quick]

The two dialects are asked the same of one library, in turns. Milliseconds of handlers are processor time of this process,
all threads counted, so they hold on a busy machine; a page of the console is loaded from a running server as a browser
does it, six connections at once, and its milliseconds are those of the clock.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from functions.add.app import handler as add
from functions.groups.app import handler as groups
from functions.search.app import handler as search
from lookalike.domain.library import Kind
from lookalike.handlers.http import Handler
from lookalike.ports import Ports
from lookalike.server import api_gateway
from lookalike.server.api_gateway import HttpRequest
from lookalike.service.applications import create_application
from tests.bench.pipeline import Call, Caller, files, service
from tests.bench.report import Report
from tests.support.large_library import PAGE as PAGE_LISTED
from tests.support.large_library import large_library, page_milliseconds
from tests.support.live import LiveServer

#: Pictures of a page of the console, and connections that browsers open to one server.
PAGE, CONNECTIONS = 60, 6

#: Rows of a bulk call.
ROWS = 20

GROUP = "Native API, one thread, processor time of the handlers"

#: Baidu's library, which the API has by the same name.
LIBRARY = f"/libraries/{Kind.SIMILAR}"


def measure(report: Report, *, quick: bool) -> None:
    """Measure searches, adds, thumbnails, and a page of them."""
    times = 8 if quick else 60
    made = files(2 * times + 2 * ROWS)
    with service() as ports:
        baidu = Caller(ports)
        native = _Native(ports, baidu.tenant)
        single = _adds(report, baidu, native, made[: 2 * times])
        _bulk(report, native, made[2 * times :], single)
        _searches(report, baidu, native, made[:times])
        _thumbnails(report, native, single)
    _pages(report, 10_000 if quick else 100_000)
    _page(report, files(12 if quick else PAGE))


class _Native:
    """Calls handlers by the API, as an application of a tenant."""

    def __init__(self, ports: Ports, tenant: str) -> None:
        keys = create_application(ports.applications, ports.clock, "native", tenant)
        pair = base64.b64encode(f"{keys.access_key}:{keys.secret_key}".encode()).decode()
        self._headers = (("authorization", f"Basic {pair}"), ("host", "localhost"))

    def calling(self, handler: Handler, method: str, path: str, body: bytes = b"", kind: str = "json") -> _Answering:
        """Return a call; it raises RuntimeError if it is refused."""
        target, _, query = path.partition("?")
        headers = (*self._headers, ("content-type", f"application/{kind}"))
        request = HttpRequest(method, f"/api/v1{target}", query, headers, body, "127.0.0.1", api_gateway.now())
        return _Answering(handler, api_gateway.to_event(request))

    def adding(self, file: bytes) -> _Answering:
        return self.calling(add, "POST", f"{LIBRARY}/pictures", json.dumps({"image": _base64(file)}).encode())

    def searching(self, file: bytes) -> _Answering:
        said = json.dumps({"image": _base64(file), "limit": 10}).encode()
        return self.calling(search, "POST", f"{LIBRARY}/search", said)


class _Answering:
    """A call whose event is made: that is the client's and the gateway's work."""

    def __init__(self, handler: Handler, event: dict[str, object]) -> None:
        self._handler, self._event = handler, event

    def __call__(self) -> None:
        self.answer()

    def answer(self) -> str:
        """Return the body of the answer. Raises RuntimeError if the call is refused."""
        answer: dict[str, Any] = self._handler(self._event, None)
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"the call was refused: {answer}")
        body: str = answer["body"]
        return body


def _base64(file: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(file).decode()}


def _pages(report: Report, pictures: int) -> None:
    """List a page at the end of a large library, beside one at its start."""
    with tempfile.TemporaryDirectory() as folder, large_library(Path(folder), pictures) as (ports, library):
        start = page_milliseconds(ports, library, None)
        end = page_milliseconds(ports, library, f"{pictures - PAGE_LISTED - 1:08d}")
    report.add(
        GROUP, f"a page of {PAGE_LISTED} at the end of {pictures:,}, beside one at the start", end, "ms", floor=start
    )


def _spent(call: Call) -> float:
    """Return the milliseconds of processor time that a call takes."""
    began = time.process_time()
    call()
    return (time.process_time() - began) * 1000


def _adds(report: Report, baidu: Caller, native: _Native, pictures: Sequence[bytes]) -> float:
    """Add pictures in turns; return the milliseconds of an add by the API."""
    baidu.adding(Kind.SIMILAR, pictures[0])()
    native.adding(pictures[1])()
    theirs = [baidu.adding(Kind.SIMILAR, file) for file in pictures[2::2]]
    ours = [native.adding(file) for file in pictures[3::2]]
    spent = [(_spent(one), _spent(other)) for one, other in zip(ours, theirs, strict=True)]
    one = statistics.median(here for here, _ in spent)
    other = statistics.median(there for _, there in spent)
    report.add(GROUP, "add, beside the same through Baidu's dialect", one, "ms", floor=other)
    return one


def _searches(report: Report, baidu: Caller, native: _Native, pictures: Sequence[bytes]) -> None:
    """Search for every picture by both dialects, in turns."""
    calls = [(native.searching(file), baidu.searching(Kind.SIMILAR, file)) for file in pictures]
    for some in calls[:2]:
        for call in some:
            call()
    spent = [(_spent(one), _spent(other)) for one, other in calls]
    one, other = (statistics.median(column) for column in zip(*spent, strict=True))
    report.add(GROUP, "search, beside the same through Baidu's dialect", one, "ms", floor=other)
    more = statistics.median(one - other for one, other in spent)
    report.add(GROUP, "what a search takes more than through Baidu's dialect", more, "ms", aim="≤ 1 ms")


def _bulk(report: Report, native: _Native, pictures: Sequence[bytes], single: float) -> None:
    """Add pictures by calls of ROWS rows."""
    bodies = []
    for at in range(0, len(pictures), ROWS):
        rows = [json.dumps({"op": "add", **_base64(file)}) for file in pictures[at : at + ROWS]]
        bodies.append("\n".join(rows).encode())
    calls = [native.calling(add, "POST", f"{LIBRARY}/bulk", body, "x-ndjson") for body in bodies]
    each = min(_spent(call) for call in calls) / ROWS
    report.add(GROUP, f"a picture of a bulk add of {ROWS}, beside a single add", each, "ms", floor=single)


def _thumbnails(report: Report, native: _Native, single: float) -> None:
    """Look at thumbnails twice: at first sight they are made."""
    listed = json.loads(native.calling(groups, "GET", f"{LIBRARY}/pictures?limit={PAGE}").answer())
    paths = [one["self"].removeprefix("/api/v1") for one in listed["pictures"]]
    calls = [native.calling(groups, "GET", f"{path}/image?size=thumb") for path in paths]
    first, again = ([_spent(call) for call in calls] for _ in range(2))
    made = statistics.median(one - other for one, other in zip(first, again, strict=True))
    report.add(GROUP, "a thumbnail's making at first sight, beside an add, which makes none", made, "ms", floor=single)
    report.add(GROUP, "a thumbnail that is made", statistics.median(again), "ms")


def _page(report: Report, pictures: Sequence[bytes]) -> None:
    """Load a page of thumbnails from a server."""
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as folder:
        server = LiveServer(Path(folder) / "data")
        try:
            keys = server.keys("bench")
            limits = httpx.Limits(max_connections=CONNECTIONS)
            auth = (keys.access_key, keys.secret_key)
            with httpx.Client(base_url=f"{server.url}/api/v1", auth=auth, timeout=60, limits=limits) as client:
                client.put(LIBRARY, json={"kind": Kind.SIMILAR, "identity": "picture"}).raise_for_status()
                for file in pictures:
                    client.post(f"{LIBRARY}/pictures", json={"image": _base64(file)}).raise_for_status()
                first, *again = (_load(client, server.url) for _ in range(6))
        finally:
            server.stop()
    group = f"A page of {len(pictures)} thumbnails over loopback"
    report.add(group, "at first sight", first, "ms")
    report.add(group, "after that", statistics.median(again), "ms", aim="≤ 300 ms")


def _load(client: httpx.Client, url: str) -> float:
    """Return the milliseconds until a page and all of its thumbnails are there."""
    began = time.perf_counter()
    page = client.get(f"{LIBRARY}/pictures?limit={PAGE}").raise_for_status().json()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        paths = [f"{url}{one['self']}/image?size=thumb" for one in page["pictures"]]
        for answer in pool.map(client.get, paths):
            answer.raise_for_status()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure only this, and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    report = Report()
    measure(report, quick=parser.parse_args().quick)
    report.print(Console(width=140))


if __name__ == "__main__":
    main()
