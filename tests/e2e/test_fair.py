"""A busy service over HTTP: clients that left delay nobody, and a flood delays only its own tenant."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from PIL import Image

from tests.bench import fair
from tests.bench.report import Report
from tests.support import photographs
from tests.support.live import Keys, LiveServer

pytestmark = pytest.mark.alone

SAME = "/rest/2.0/realtime_search/same_hq"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("fair") / "data")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def picture(number: int) -> str:
    image = photographs.photograph("coffee.png").rotate(number, resample=Image.Resampling.BILINEAR).resize((640, 480))
    return base64.b64encode(photographs.jpeg(image)).decode()


def send_and_leave(url: str, target: str, **form: object) -> None:
    """Send a complete request, and disconnect."""
    place, body = urlsplit(url), urlencode(form).encode()
    with socket.create_connection((place.hostname or "", place.port or 0)) as client:
        client.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def outcomes(server: LiveServer, app_id: str, operation: str) -> Counter[str]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return Counter(
        line["outcome"] for line in lines if (line.get("app_id"), line.get("operation")) == (app_id, operation)
    )


def test_searches_whose_clients_are_gone_are_dropped_and_adds_are_done(server: LiveServer) -> None:
    keys = server.keys("gone")
    token = server.token(keys)
    large = base64.b64encode(fair.large()).decode()  # no more than two of one tenant are decoded at a time
    began = time.monotonic()
    server.call(token, f"{SAME}/search", image=large)
    alone = time.monotonic() - began
    pictures = [picture(number) for number in range(10)]
    for _ in range(40):
        send_and_leave(server.url, f"{SAME}/search?access_token={token}", image=large)
    for one in pictures:
        send_and_leave(server.url, f"{SAME}/add?access_token={token}", image=one, brief="b")
    began = time.monotonic()
    server.call(token, f"{SAME}/search", image=pictures[0])
    assert time.monotonic() - began < max(10 * alone, 3)
    until = time.monotonic() + 60
    while outcomes(server, keys.app_id, "add") != {"ok": 10} and time.monotonic() < until:
        time.sleep(0.1)
    assert outcomes(server, keys.app_id, "add") == {"ok": 10}
    dropped = [line for line in server.log.read_text().splitlines() if '"outcome":"Abandoned"' in line]
    assert len(dropped) >= 10
    assert all(json.loads(line)["operation"] == "search" for line in dropped)


def test_who_floods_the_service_waits_and_another_tenant_does_not(server: LiveServer) -> None:
    flooder, other = server.keys("flooder"), server.keys("other")
    report = Report()
    fair.compare(report, server.url, pair(flooder), pair(other), quick=True)
    assert len(report.rows) == 6
    # Without fair shares, the ratio is 9 to 300.
    assert all(row.ratio is not None and row.ratio < 3 * fair.AIM for row in report.rows), report.rows


def pair(keys: Keys) -> tuple[str, str]:
    return keys.access_key, keys.secret_key


def test_what_would_wait_longer_than_it_may_is_refused_in_the_vendors_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "LOOKALIKE_WAIT_SECONDS", "1")
    running = LiveServer(tmp_path / "data")
    token = running.token(running.keys("busy"))
    form = {"image": base64.b64encode(fair.large()).decode()}

    def search(_: int) -> tuple[object, float]:
        began = time.monotonic()
        answer = httpx.post(f"{running.url}{SAME}/search?access_token={token}", data=form, timeout=60).json()
        return answer.get("error_code"), time.monotonic() - began

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(search, range(32)))
    assert {code for code, _ in answers} == {None, 18}
    assert max(seconds for _, seconds in answers) < 10
    assert running.stop() == 0
    log = running.log.read_text()
    assert '"outcome":"Busy"' in log
    assert "Traceback" not in log
