"""Measures calls over a kept connection: the client's wait, and the service's own share of it."""

from __future__ import annotations

import base64
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from lookalike.domain.library import Kind
from tests.bench.pipeline import PATHS, files
from tests.bench.report import Report
from tests.support.live import LiveServer


def measure(report: Report, *, quick: bool) -> None:
    """Adds and searches, one after the other, by one client of a server in a process of its own."""
    pictures = files(10 if quick else 60)
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", ignore_cleanup_errors=True) as folder:
        server = LiveServer(Path(folder) / "data")
        try:
            token = server.token(server.keys("bench"))
            with httpx.Client(base_url=server.url, params={"access_token": token}, timeout=60) as client:
                for operation in ("add", "search"):
                    path = f"{PATHS[Kind.SIMILAR]}/{operation}"
                    waits = [_wait(client, path, file) for file in pictures]
                    _report(report, operation, waits, worked(server, operation))
        finally:
            server.stop()


def _wait(client: httpx.Client, path: str, file: bytes) -> float:
    """Return the milliseconds of a call. Raises RuntimeError if it is refused: refusals are quick."""
    form = {"image": base64.b64encode(file).decode(), "brief": "b", "rn": "10"}
    began = time.perf_counter()
    answer = client.post(path, data=form).json()
    waited = (time.perf_counter() - began) * 1000
    if "error_code" in answer:
        raise RuntimeError(f"{path} was refused: {answer}")
    return waited


def worked(server: LiveServer, operation: str) -> list[float]:
    """Return the milliseconds of each call by the service's own log."""
    lines = (json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{"))
    answered = (line for line in lines if line["message"] == "answered" and line.get("operation") == operation)
    return [line["milliseconds"] for line in answered]


def _report(report: Report, operation: str, waits: list[float], own: list[float]) -> None:
    """Report without the first calls, which open the connection and the library."""
    group = "HTTP, one client on a kept connection (640×480 JPEG)"
    wait, work = statistics.median(waits[1:]), statistics.median(own[1:])
    between = statistics.median(one - other for one, other in zip(waits[1:], own[1:], strict=True))
    report.add(
        group, f"{operation} in similar: the client's wait, beside the service's own time", wait, "ms", floor=work
    )
    report.add(group, f"{operation} in similar: the difference", between, "ms", aim="≤ 10 ms")
