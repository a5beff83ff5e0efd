"""A change of models while a server runs, under load, with a kill: each command as the page has it."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.documents import block
from tests.support.live import Keys, LiveServer
from tests.support.photographs import NAMES, ROOT, jpeg, photograph, png

LARGE = ROOT / "layers/model/large/model.onnx"

#: Libraries by kind.
KINDS = ("same", "similar")


def command(data: Path, line: str, status: int = 0) -> str:
    """Type a line of the page, for these data."""
    words = shlex.split(line.replace("/srv/lookalike", str(data)).replace("mine/model.onnx", str(LARGE)), comments=True)
    words = [str(data.parent / word) if word == "comparison" else word for word in words]
    assert words[0] == ".venv/bin/lookalike"
    done = subprocess.run([sys.executable, "-m", "lookalike", *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@dataclass
class Shop:
    """A server's libraries, and what was acknowledged of them."""

    server: LiveServer
    keys: Keys
    kept: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    doubtful: set[tuple[str, str]] = field(default_factory=set)

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.server.url}/api/v1", auth=(self.keys.access_key, self.keys.secret_key), timeout=60
        )

    def add(self, client: httpx.Client, kind: str, id_: str, file: bytes, brief: str) -> None:
        self.doubtful.add((kind, id_))
        said = {"image": ("file", file), "picture": (None, json.dumps({"brief": brief}).encode())}
        sent = client.put(f"/libraries/my-{kind}/pictures/{id_}", files=said)
        assert sent.status_code == 201, sent.text
        self.kept[kind, id_] = file, brief
        self.doubtful.discard((kind, id_))

    def answers(self) -> dict[str, Any]:
        """The answers to searches by a changed copy of each photograph."""
        found: dict[str, Any] = {}
        with self.client() as client:
            for kind in KINDS:
                for name in NAMES[:6]:
                    query = {"image": ("file", jpeg(photograph(name, 200), 60))}
                    said = client.post(f"/libraries/my-{kind}/search", files=query).json()
                    found[f"{kind} {name}"] = [
                        (one["id"], round(one["score"], 6), one.get("brief")) for one in said["matches"]
                    ]
        return found


def work(shop: Shop, seed: int, stop: threading.Event) -> None:
    """Add, change and delete pictures until told to stop, or until the server is gone."""
    chance, number = random.Random(seed), 0
    try:
        with shop.client() as client:
            while not stop.is_set():
                number += 1
                kind, id_ = chance.choice(KINDS), f"made-{seed}-{number}"
                picture = photograph(chance.choice(NAMES), 90).rotate(chance.randrange(1, 359))
                shop.add(client, kind, id_, png(picture), "added")
                step = chance.random()
                if step < 0.3:
                    shop.doubtful.add((kind, id_))
                    sent = client.patch(f"/libraries/my-{kind}/pictures/{id_}", json={"brief": "changed"})
                    assert sent.status_code == 200, sent.text
                    shop.kept[kind, id_] = png(picture), "changed"
                elif step < 0.6:
                    shop.doubtful.add((kind, id_))
                    assert client.delete(f"/libraries/my-{kind}/pictures/{id_}").status_code == 204
                    del shop.kept[kind, id_]
                shop.doubtful.discard((kind, id_))
    except httpx.TransportError:
        return


def loaded(shop: Shop, seconds: float) -> None:
    stop = threading.Event()
    clients = [threading.Thread(target=work, args=(shop, random.randrange(10**6), stop)) for _ in range(3)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    stop.set()
    for client in clients:
        client.join()


def state(data: Path) -> dict[str, Any]:
    return dict(json.loads(command(data, ".venv/bin/lookalike reembed --json --data /srv/lookalike")))


def ids_found(shop: Shop) -> dict[str, set[str]]:
    """The ids that each library lists."""
    with shop.client() as client:
        found = {}
        for kind in KINDS:
            page = client.get(f"/libraries/my-{kind}/pictures", params={"limit": 500}).json()
            assert not page.get("next")
            found[kind] = {one["id"] for one in page["pictures"]}
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    server = LiveServer(tmp_path / "data")
    made = Shop(server, server.keys("stock"))
    with made.client() as client:
        for kind in KINDS:
            assert client.put(f"/libraries/my-{kind}", json={"identity": "own", "kind": kind}).status_code == 201
            for name in NAMES:
                made.add(client, kind, name, png(photograph(name, 200)), name)
    yield made
    if made.server.process.poll() is None:
        made.server.kill()


@pytest.mark.slow
def test_a_model_goes_live_under_load_and_after_a_kill(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, compare, switch, back, drop = block("sh", "reembed --data").splitlines()
    data = shop.server.data
    before = shop.answers()
    begun = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "reembed", "--model", LARGE, "--rate", "4", "--data", data],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    shop.server.said("the models in use have changed")
    loaded(shop, 3)
    shop.server.kill()
    begun.wait()

    shop.server = LiveServer(data)
    assert shop.answers().keys() == before.keys()
    command(data, fill)
    loaded(shop, 3)
    assert "have another first answer with lite2-260-1 than with lite0-224-2" in command(data, compare)
    assert (tmp_path / "comparison/index.html").read_text().count("<section>") > 10
    old = shop.answers()
    assert "Searches use lite2-260-1" in command(data, switch)
    new = shop.answers()
    assert new != old
    loaded(shop, 2)
    shop.doubtful.clear()
    found = ids_found(shop)
    for kind in KINDS:
        kept = {id_ for of, id_ in shop.kept if of == kind}
        assert kept <= found[kind]
    assert "Nothing differs." in command(data, ".venv/bin/lookalike check --data /srv/lookalike")
    assert_as_anew(shop, tmp_path, found, monkeypatch)
    assert "Searches use lite0-224-2" in command(data, back)
    command(data, switch)
    last = shop.answers()
    assert "there is no other model" in command(data, drop)
    assert shop.answers() == last
    assert httpx.get(f"{shop.server.url}/status").json()["model"] == "lite2-260-1"
    assert shop.server.stop() == 0
    shop.server = LiveServer(data)
    assert shop.answers() == last
    assert state(data)["models"]["other"] is None
    assert shop.server.stop() == 0


def assert_as_anew(shop: Shop, folder: Path, found: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that answers are those of a library that was embedded anew by the model."""
    monkeypatch.setenv("LOOKALIKE_MODEL", str(LARGE))
    server = LiveServer(folder / "anew")
    monkeypatch.delenv("LOOKALIKE_MODEL")
    anew = Shop(server, server.keys("stock"))
    with anew.client() as client, shop.client() as source:
        for kind in KINDS:
            assert client.put(f"/libraries/my-{kind}", json={"identity": "own", "kind": kind}).status_code == 201
            for id_ in sorted(found[kind]):
                said = source.get(f"/libraries/my-{kind}/pictures/{id_}").json()
                file = source.get(f"/libraries/my-{kind}/pictures/{id_}/image", params={"size": "original"}).content
                anew.add(client, kind, id_, file, said.get("brief") or "")
    assert shop.answers() == anew.answers()
    server.kill()
