"""After SIGKILL at random moments, every acknowledged write is present when the server is back."""

from __future__ import annotations

import base64
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.support import photographs
from tests.support.live import Keys, LiveServer

ROUNDS, CLIENTS = 5, 6
LIBRARY = "/rest/2.0/image-classify/v1/realtime_search/product"


def picture(number: int) -> bytes:
    """Return a small picture of coloured squares, different for each number."""
    squares = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return photographs.png(Image.fromarray(squares).resize((32, 32), Image.Resampling.NEAREST))


@dataclass
class Ledger:
    """Acknowledged outcomes. ``doubtful`` holds the numbers whose last call got no answer: both outcomes are right."""

    briefs: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)
    taken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_number(self) -> int:
        with self.lock:
            self.taken += 1
            return self.taken


def work(server: LiveServer, token: str, ledger: Ledger, seed: int) -> None:
    """Run one client: add, change and delete pictures, and record every acknowledged outcome, until disconnected."""
    chance = random.Random(seed)
    try:
        while True:
            number = ledger.next_number()
            image = base64.b64encode(picture(number)).decode()
            ledger.doubtful.add(number)
            assert "cont_sign" in server.call(token, f"{LIBRARY}/add", image=image, brief=f"added {number}")
            ledger.briefs[number] = f"added {number}"
            step = chance.random()
            if step < 0.3:
                assert "error_code" not in server.call(token, f"{LIBRARY}/update", image=image, brief=f"new {number}")
                ledger.briefs[number] = f"new {number}"
            elif step < 0.5:
                assert "error_code" not in server.call(token, f"{LIBRARY}/delete", image=image)
                del ledger.briefs[number]
                ledger.gone.add(number)
            ledger.doubtful.discard(number)
    except httpx.TransportError:
        return


def check(server: LiveServer, token: str, ledger: Ledger, numbers: list[int]) -> None:
    """Assert that every acknowledged picture is found with its last brief, and no deleted one."""
    for number in numbers:
        image = base64.b64encode(picture(number)).decode()
        found = server.call(token, f"{LIBRARY}/search", image=image, rn=1)["result"]
        exact = [one["brief"] for one in found if one["score"] == 1]
        if number in ledger.briefs:
            assert exact == [ledger.briefs[number]], number
        else:
            assert exact == [], number


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(20)
    ledger = Ledger()
    keys: Keys | None = None
    for round_ in range(ROUNDS):
        server = LiveServer(tmp_path / "data")
        keys = keys or server.keys("kill")
        token = server.token(keys)
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(work, server, token, ledger, round_ * CLIENTS + n) for n in range(CLIENTS)]
            time.sleep(chance.uniform(0.3, 1.2))
            server.kill()
            for client in clients:
                client.result()
    server = LiveServer(tmp_path / "data")
    assert keys is not None
    token = server.token(keys)
    settled = [number for number in [*ledger.briefs, *ledger.gone] if number not in ledger.doubtful]
    assert len(settled) > 50
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda share: check(server, token, ledger, share), [settled[::2], settled[1::2]]))
    # What was cut off may have happened or not, but it can be said again.
    for number in sorted(ledger.doubtful):
        image = base64.b64encode(picture(number)).decode()
        assert server.call(token, f"{LIBRARY}/add", image=image, brief="x").get("error_code") in (None, 216681)
    assert server.stop() == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").rglob("*"))
