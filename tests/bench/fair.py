"""One tenant's searches while another floods the service: over HTTP, against ``lookalike serve``.

python -m tests.bench.fair [--json FILE] [--quick] [--url URL --keys AK:SK,AK:SK]
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from PIL import Image
from rich.console import Console

from tests.bench.report import Report
from tests.support import photographs
from tests.support.live import LiveServer

#: Callers that flood the service, each asking again as soon as it is answered.
CALLERS = 16

#: Factor by which the other tenant's median may rise.
AIM = 3.0

SIMILAR = "/rest/2.0/image-classify/v1/realtime_search/similar"
SAME = "/rest/2.0/realtime_search/same_hq"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def large() -> bytes:
    """Return a progressive JPEG of the largest size, in few bytes: quickly sent, slowly decoded."""
    ramp = np.add.outer(np.arange(4096), np.arange(4096)) // 32
    image = Image.fromarray((ramp % 256).astype(np.uint8)).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30, progressive=True)
    return file.getvalue()


def small() -> bytes:
    """Return a picture of 64 by 64 pixels."""
    return photographs.jpeg(photographs.photograph("coffee.png").resize((64, 64)))


def usual() -> bytes:
    """Return a photograph of a size usual on web pages."""
    return photographs.jpeg(photographs.photograph("china.jpg", 640))


class Client:
    """One tenant's client, with a kept connection."""

    def __init__(self, url: str, access_key: str, secret_key: str) -> None:
        place = urlsplit(url)
        self._connection = HTTPConnection(place.hostname or "", place.port, timeout=300)
        form = {"grant_type": "client_credentials", "client_id": access_key, "client_secret": secret_key}
        self._token = self._post("/oauth/2.0/token", form)["access_token"]

    def search(self, library: str, file: bytes) -> None:
        """Search for a picture. Raises RuntimeError if it is refused: refusals are quick."""
        self._call(f"{library}/search", {"image": base64.b64encode(file).decode(), "rn": 10})

    def add(self, library: str, file: bytes) -> None:
        """Add a picture. Raises RuntimeError if that is refused."""
        self._call(f"{library}/add", {"image": base64.b64encode(file).decode(), "brief": "b"})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, path: str, form: Mapping[str, object]) -> None:
        answer = self._post(f"{path}?{urlencode({'access_token': self._token})}", form)
        if answer.get("error_code") not in (None, 216681):  # it may be there from an earlier run
            raise RuntimeError(f"{path} was refused: {answer}")

    def _post(self, path: str, form: Mapping[str, object]) -> dict[str, object]:
        try:
            return self._answer(path, form)
        except ConnectionError:  # closed as idle, while others were waited for
            self._connection.close()
            return self._answer(path, form)

    def _answer(self, path: str, form: Mapping[str, object]) -> dict[str, object]:
        self._connection.request("POST", path, urlencode(form), FORM)
        answer: dict[str, object] = json.loads(self._connection.getresponse().read())
        return answer


@contextmanager
def flooding(url: str, keys: tuple[str, str], library: str, file: bytes) -> Iterator[None]:
    """Let all callers of one tenant search continuously within the block."""
    stop = threading.Event()

    def ask() -> None:
        with closing(Client(url, *keys)) as client:
            while not stop.is_set():
                client.search(library, file)

    callers = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        stop.set()
        for caller in callers:
            caller.join()


def median(client: Client, library: str, file: bytes, times: int) -> float:
    """Return the median milliseconds of a search; callers pause between two, as people do."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        client.search(library, file)
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(0.05)
    return statistics.median(taken)


def measure(report: Report, *, quick: bool) -> None:
    """Start a service, and measure with two of its tenants."""
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder) / "data")
        try:
            flooder, other = server.keys("flooder"), server.keys("other")
            compare(
                report,
                server.url,
                (flooder.access_key, flooder.secret_key),
                (other.access_key, other.secret_key),
                quick=quick,
            )
        finally:
            server.stop()


def compare(report: Report, url: str, flooder: tuple[str, str], other: tuple[str, str], *, quick: bool) -> None:
    """Measure the other tenant's searches without a flood, and in each kind of flood."""
    times = 3 if quick else 30
    searches = {"similar, 64 px": (SIMILAR, small()), "same, 640 px": (SAME, usual())}
    with closing(Client(url, *other)) as client, closing(Client(url, *flooder)) as first:
        for library, file in searches.values():
            client.add(library, file)
            first.add(library, file)
        quiet = {name: median(client, *search, times) for name, search in searches.items()}
        for flood, (library, file) in {
            "of 4096² px": (SIMILAR, large()),
            "in same_hq": (SAME, usual()),
            "of 64 px": (SIMILAR, small()),
        }.items():
            with flooding(url, flooder, library, file):
                time.sleep(0.2 if quick else 2)
                for name, search in searches.items():
                    report.add(
                        f"Another tenant searches while {CALLERS} callers flood the service (floor: all is quiet)",
                        f"{name}, flood {flood}",
                        median(client, *search, times),
                        "ms",
                        floor=quiet[name],
                        aim=f"≤ {AIM:g} ×",
                    )


def main() -> None:
    """Run this benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few searches: shows that it works, not how fair it is")
    parser.add_argument("--url", help="a service that is running, instead of one of its own")
    parser.add_argument("--keys", help="two tenants' keys there: AK:SK,AK:SK")
    chosen = parser.parse_args()
    report = Report()
    if chosen.url:
        flooder, other = (tuple(pair.split(":")) for pair in chosen.keys.split(","))
        compare(report, chosen.url, flooder, other, quick=chosen.quick)
    else:
        measure(report, quick=chosen.quick)
    report.print(Console())
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures(), indent=2) + "\n")


if __name__ == "__main__":
    main()
