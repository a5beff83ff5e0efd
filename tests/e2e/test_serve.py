"""The command an operator types: start, status, stop, errors; the gateway's own limits."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

import lookalike
from lookalike.embedding.card import CARD, CODEBOOKS
from lookalike.embedding.location import find_model
from tests import photographs
from tests.live import LiveServer, cli


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("serve") / "data")
    yield running
    assert running.stop() == 0


def serve(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``lookalike serve`` where it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_the_first_start_makes_an_application_and_prints_its_keys(server: LiveServer) -> None:
    (application,) = [
        one for one in json.loads(cli("keys", "list", "--data", str(server.data), "--json")) if one["name"] == "default"
    ]
    log = server.log.read_text()
    assert all(application[name] in log for name in ("app_id", "access_key", "secret_key"))


def test_the_keys_that_were_printed_work(server: LiveServer) -> None:
    (line,) = [line for line in server.log.read_text().splitlines() if "API key" in line]
    (secret,) = [line for line in server.log.read_text().splitlines() if "Secret key" in line]
    query = {
        "grant_type": "client_credentials",
        "client_id": line.split()[-1],
        "client_secret": secret.split()[-1],
    }
    assert "access_token" in httpx.get(f"{server.url}/oauth/2.0/token", params=query).json()


def test_status_tells_what_runs_and_to_an_application_how_much(server: LiveServer) -> None:
    status = httpx.get(f"{server.url}/status").json()
    assert status["status"] == "ready"
    assert status["version"] == lookalike.__version__
    assert status["model"]
    keys = server.keys("counted")
    picture = photographs.jpeg(photographs.photograph("coffee.png"))
    answer = server.call(
        server.token(keys),
        "/rest/2.0/realtime_search/same_hq/add",
        image=base64.b64encode(picture).decode(),
        brief="b",
    )
    assert "cont_sign" in answer
    status = httpx.get(f"{server.url}/status", auth=(keys.access_key, keys.secret_key)).json()
    assert status["pictures"] == {f"{keys.tenant}/same_hq": 1}
    assert httpx.get(f"{server.url}/status", auth=(keys.access_key, "wrong")).status_code == 401


@pytest.mark.parametrize("caller", [None, "127.0.0.1", "203.0.113.5", "127.0.0.1, 203.0.113.5", "unknown"])
def test_status_counts_nothing_for_callers_without_keys(server: LiveServer, caller: str | None) -> None:
    status = httpx.get(f"{server.url}/status", headers={} if caller is None else {"X-Forwarded-For": caller}).json()
    assert status.keys() == {"status", "version", "model"}


def test_bodies_beyond_the_gateways_limits_get_the_gateways_answer(server: LiveServer) -> None:
    path = f"{server.url}/rest/2.0/realtime_search/same_hq/add"
    form = {"content-type": "application/x-www-form-urlencoded"}
    for size in (10 * 1024 * 1024 + 1, 5 * 1024 * 1024):  # over 10 MB; over 6 MB once it is base64 in an event
        answer = httpx.post(path, content=b"image=" + b"A" * size, headers=form, timeout=60)
        assert (answer.status_code, answer.json()) == (413, {"message": "Request Entity Too Large"})
    # As text the same five megabytes fit, and reach the handler.
    answer = httpx.post(path, content=b"{" + b" " * 5 * 1024 * 1024, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (200, 110)
    assert httpx.get(path, headers={"x-long": "x" * 10_240}).status_code == 431


def test_a_second_server_on_the_same_folder_is_refused(server: LiveServer) -> None:
    done = serve("--data", str(server.data))
    assert done.returncode == 1
    assert "in use by another server" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_in_one_line(server: LiveServer, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = serve("--data", str(tmp_path / "other"), "--port", port)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"lookalike: cannot listen on 127.0.0.1:{port}: Address already in use"]


def test_wrong_settings_are_all_named_at_once(tmp_path: Path) -> None:
    done = serve("--data", str(tmp_path / "data"), LOOKALIKE_MIN_SIDE="x", LOOKALIKE_PURGE_AFTER_DAYS="-1")
    assert done.returncode == 1
    assert "LOOKALIKE_MIN_SIDE=x" in done.stderr
    assert "LOOKALIKE_PURGE_AFTER_DAYS=-1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "aws"], "which stores? Name a stack with --stack, or set LOOKALIKE_TABLE"),
        (["--backend", "aws", "--data", "data"], "--data: the stores of AWS have buckets, no folders"),
        (["--stack", "mine", "--watch", "."], "--watch: the stores of AWS have buckets, no folders"),
    ],
)
def test_stores_of_aws_are_named_and_go_without_folders(options: list[str], said: str) -> None:
    done = serve(*options)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_stores_of_aws_that_do_not_answer_are_said_in_one_line() -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "LOOKALIKE_OPENSEARCH": "http://127.0.0.1:1"}
    named = {"LOOKALIKE_TABLE": "table", "LOOKALIKE_BUCKET": "bucket", "LOOKALIKE_KEY": "key"}
    account = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = serve("--backend", "aws", **nowhere, **named, **account)
    assert done.returncode == 1
    assert "Could not connect to the endpoint URL" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def cut_short(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1000])


def with_other_weights(folder: Path) -> None:
    path = folder / "model.onnx"
    model = bytearray(path.read_bytes())
    model[len(model) // 2] ^= 1
    path.write_bytes(model)


def with_longer_vectors(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"dimension": 512}))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "no file is there"),
        (cut_short, "truncated, or another model's"),
        (with_other_weights, "truncated, or another model's"),
        (with_longer_vectors, "its vectors have 512 numbers, this service's have 256"),
        (lambda folder: (folder / CARD).unlink(), "No such file or directory; run `make model`"),
        (lambda folder: (folder / CARD).write_text("{"), "not a model's card"),
        (lambda folder: (folder / CODEBOOKS).unlink(), "No such file or directory; run `make model`"),
    ],
)
def test_a_model_of_no_use_is_refused_at_start_with_one_line(
    tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    model = find_model(None)
    for name in ("model.onnx", CARD, CODEBOOKS):
        shutil.copy(model.parent / name, tmp_path)
    harm(tmp_path)
    done = serve("--data", str(tmp_path / "data"), LOOKALIKE_MODEL=str(tmp_path / "model.onnx"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("lookalike: ")
    assert str(tmp_path) in line
    assert reason in line


def test_the_sample_library_shows_a_search_that_works(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        photographs.photograph(name).save(folder / f"{Path(name).stem}.jpg", quality=92)
    for _ in range(2):  # the second start finds the library as the first has left it
        server = LiveServer(tmp_path / "data", "--sample", str(folder))
        assert server.process.stdout is not None
        assert server.stop_after("Try it yourself") == 0
        log = server.log.read_text()
        assert "chelsea" in log
        assert log.count("Loading the sample pictures") <= 4
        curl = next(line for line in reversed(log.splitlines()) if line.startswith("base64 < "))
        server = LiveServer(tmp_path / "data")
        done = subprocess.run(
            curl.replace(curl.split("'http://")[1].split("/")[0], server.url.removeprefix("http://")),
            shell=True,  # the very line that a newcomer pastes
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["result"][0]["score"] > 0.9
        assert server.stop() == 0


def test_slow_and_silent_clients_hold_nobody_up(server: LiveServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /oauth/2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
    with ExitStack() as clients:
        for number in range(600):
            client = clients.enter_context(socket.create_connection((host, int(port))))
            client.sendall(head if number % 10 == 0 else b"POST / HT")
        assert httpx.get(f"{server.url}/status", timeout=10).status_code == 200
        assert httpx.post(f"{server.url}/oauth/2.0/token", timeout=10).status_code == 400


def test_a_stop_beside_an_upload_that_never_ends_is_a_clean_one(tmp_path: Path) -> None:
    running = LiveServer(tmp_path / "data")
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /oauth/2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert httpx.get(f"{running.url}/status").status_code == 200
        assert running.stop() == 0
        assert slow.recv(100).startswith(b"HTTP/1.1 503")
    assert "Traceback" not in running.log.read_text()


def test_whatever_goes_wrong_at_the_start_ends_the_process(tmp_path: Path) -> None:
    LiveServer(tmp_path / "data").stop()
    with closing(sqlite3.connect(tmp_path / "data" / "catalog.db")) as catalog, catalog:
        catalog.execute(
            "INSERT INTO pictures (library, id, kind, revision, added, state, digest, file_digest, model, vector, brief, "
            "label, desc, tags, sign_version) VALUES ('l', 'i', 'same', 1, 1, 'odd', '', '', '', x'', '', '', '', '', 1)"
        )
    done = serve("--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "lookalike: cannot start" in done.stderr


def test_a_requests_target_may_be_a_whole_address(server: LiveServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as proxy:
        proxy.sendall(f"GET {server.url}/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert proxy.recv(100).startswith(b"HTTP/1.1 200")


def test_keys_of_a_folder_that_is_not_there_are_not_made_up(tmp_path: Path) -> None:
    for command in (["list"], ["revoke", "--name", "x"]):
        done = run_keys(*command, "--data", str(tmp_path / "mistyped"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"lookalike: no data folder at {tmp_path / 'mistyped'}\n"
    assert not (tmp_path / "mistyped").exists()


def run_keys(*options: str) -> subprocess.CompletedProcess[str]:
    """Run ``lookalike keys`` where it is expected to fail."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "keys", *options], capture_output=True, text=True, check=False
    )
