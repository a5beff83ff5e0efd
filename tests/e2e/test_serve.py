"""``lookalike serve`` as an operator uses it: start, status, stop, errors; the gateway's own limits."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

import lookalike
from lookalike.embedding.model_path import CARD, CODEBOOKS, find_model
from tests.support import photographs
from tests.support.live import LiveServer, cli


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    running = LiveServer(tmp_path_factory.mktemp("serve") / "data")
    yield running
    assert running.stop() == 0


def serve(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``lookalike serve``, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def printed(output: str, label: str) -> str:
    """Return the value printed after a label."""
    (line,) = [line for line in output.splitlines() if label in line]
    return line.partition(label)[2].strip(": ")


def works(url: str, access_key: str, secret_key: str) -> bool:
    """Return whether the service issues a token for these keys."""
    query = {"grant_type": "client_credentials", "client_id": access_key, "client_secret": secret_key}
    return "access_token" in httpx.get(f"{url}/oauth/2.0/token", params=query).json()


def typed(command: str) -> str:
    """Run a command line that was printed for pasting; return its standard output."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def test_the_first_start_writes_no_secret_into_a_log_and_says_which_command_prints_it(server: LiveServer) -> None:
    log = server.said("prints it")
    shown = typed(printed(log, "Secret key").split("`")[1])
    assert printed(shown, "App id") == printed(log, "App id")
    assert printed(shown, "API key") == printed(log, "API key")
    secret = printed(shown, "Secret key")
    assert secret not in log
    assert "#once=" not in log
    link = typed(printed(log, "Console").split("`")[1]).strip()
    assert link.startswith(f"{server.url}/console/#once=m1.")
    for status in (204, 401):
        assert (
            httpx.post(f"{server.url}/api/v1/session", json={"once": link.partition("#once=")[2]}).status_code == status
        )
    assert works(server.url, printed(log, "API key"), secret)


def test_the_first_start_prints_the_keys_to_a_terminal_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first, second = on_a_terminal(data), on_a_terminal(data)
    secret = printed(first, "Secret key")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", secret)
    assert secret not in second
    links = [re.search(r"http://127\.0\.0\.1:\d+/console/#once=m1\.[0-9a-f.-]+\n", said) for said in (first, second)]
    assert all(links)
    assert secret in typed(printed(second, "Keys").split("`")[1])


def test_a_token_dies_with_the_secret_it_was_made_with(server: LiveServer) -> None:
    keys = server.keys("rotated")
    by_http, by_command = server.token(keys), typed_token(server, "rotated")
    search = "/rest/2.0/realtime_search/same_hq/search"
    for token in (by_http, by_command):
        assert server.call(token, search, image="x").get("error_code") != 110
    rotated = json.loads(cli("keys", "rotate", "--data", str(server.data), "--name", "rotated", "--json"))
    for token in (by_http, by_command):
        assert server.call(token, search, image="x")["error_code"] == 110
    assert not works(server.url, keys.access_key, keys.secret_key)
    assert works(server.url, keys.access_key, rotated["secret_key"])


def typed_token(server: LiveServer, name: str) -> str:
    return cli("token", "--data", str(server.data), "--name", name).strip()


def on_a_terminal(data: Path) -> str:
    """Return the server's output on a terminal, up to the command that shows its keys."""
    ours, terminal = os.openpty()
    command = [sys.executable, "-m", "lookalike", "serve", "--data", str(data), "--port", "0"]
    running = subprocess.Popen(command, stdout=terminal, stderr=terminal, env={**os.environ, "NO_COLOR": "1"})
    os.close(terminal)
    said = ""
    while not re.search(r"(Secret key|Keys:).*\n", said):
        said += os.read(ours, 4096).decode().replace("\r", "")
    running.terminate()
    with suppress(OSError):  # a terminal that nobody writes to any more
        while more := os.read(ours, 4096):
            said += more.decode().replace("\r", "")
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return said


def test_a_later_start_says_which_command_shows_keys(server: LiveServer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        cli("keys", "create", "--data", str(tmp_path / "data"), "--name", name)
    running = LiveServer(tmp_path / "data")
    assert running.stop_after("Keys: ") == 0
    assert typed(printed(running.log.read_text(), "Keys").split("`")[1]).count("\n") == 3


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
    for path in ("//status", "/%73tatus"):
        assert httpx.get(f"{server.url}{path}", auth=(keys.access_key, keys.secret_key)).json() == status


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
    refused = [line for line in server.log.read_text().splitlines() if '"message":"refused"' in line]
    assert {(line["status"], line["reason"].partition(":")[0]) for line in map(json.loads, refused)} >= {
        (413, "body"),
        (431, "headers"),
    }


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


@pytest.mark.parametrize(("host", "said"), [("", "--host: nothing is named"), ("ä..x", "--host: 'ä..x' is no host")])
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str, said: str) -> None:
    done = serve("--data", str(tmp_path / "data"), "--host", host)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lookalike: {said}")


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
        assert "searched in same_hq" in log
        assert "/same_hq/search" in curl
        assert not re.search(r"24\.[0-9a-f]{32}", log), "a log has no token in it"
        server = LiveServer(tmp_path / "data")
        done = subprocess.run(
            curl.replace(curl.split('"http://')[1].split("/")[0], server.url.removeprefix("http://")),
            shell=True,  # the very line that a newcomer pastes
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["result"][0]["score"] > 0.9
        assert server.stop() == 0


def test_slow_and_silent_clients_hold_nobody_up(server: LiveServer) -> None:
    """More of them than requests are held at once, all from the address that good calls come from."""
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /oauth/2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    with ExitStack() as clients:
        for number in range(700):
            client = clients.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"POST / HT" if number % 10 == 0 else head + b"a")
        for _ in range(20):
            assert httpx.get(f"{server.url}/status", timeout=10).status_code == 200
            answer = httpx.post(f"{server.url}/oauth/2.0/token", content=b"a" * 100_000, timeout=10)
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_request"


def test_a_stop_beside_an_upload_that_never_ends_is_a_clean_one(tmp_path: Path) -> None:
    running = LiveServer(tmp_path / "data")
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /oauth/2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert httpx.get(f"{running.url}/status").status_code == 200
        assert running.stop() == 0
        assert slow.recv(100).startswith(b"HTTP/1.1 503")
    assert "Traceback" not in running.log.read_text()


def test_a_stop_during_the_start_is_a_clean_one(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "lookalike", "serve", "--data", str(tmp_path / "data"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.005)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in said


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_whatever_goes_wrong_at_the_start_ends_the_process(tmp_path: Path) -> None:
    LiveServer(tmp_path / "data").stop()
    with closing(sqlite3.connect(tmp_path / "data" / "catalog.db")) as catalog, catalog:
        catalog.execute("DROP TABLE pictures")
    done = serve("--data", str(tmp_path / "data"))
    assert done.returncode == 1
    lost = f"lookalike: {tmp_path / 'data/catalog.db'}: has lost its table pictures; restore it from a backup\n"
    assert done.stderr == lost


def test_pictures_without_an_application_prevent_a_new_one_and_the_log_names_their_tenant(tmp_path: Path) -> None:
    first = LiveServer(tmp_path / "data")
    first.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "catalog.db")) as catalog, catalog:
        catalog.execute("DELETE FROM applications")
        catalog.execute("INSERT INTO libraries VALUES ('shops', 'l', 'l', 'same', 'picture', 1, NULL)")
        catalog.execute(
            "INSERT INTO pictures (library, id, kind, revision, added, state, digest, file_digest, model, vector, brief, "
            "label, desc, tags, sign_version) VALUES ('l', 'i', 'same', 1, 1, 'live', '', '', '', x'', '', '', '', '', 1)"
        )
    (tmp_path / "data" / "originals" / "l").mkdir()
    again = LiveServer(tmp_path / "data")
    assert again.stop_after("or restore the catalog from a backup. Tenants: shops") == 0
    with closing(sqlite3.connect(tmp_path / "data" / "catalog.db")) as catalog:
        assert catalog.execute("SELECT count(*) FROM applications").fetchone() == (0,)


def test_a_damaged_row_is_logged_at_the_start_and_the_server_works(tmp_path: Path) -> None:
    first = LiveServer(tmp_path / "data")
    keys = first.keys("shop")
    first.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "catalog.db")) as catalog, catalog:
        catalog.execute(
            "INSERT INTO pictures (library, id, kind, revision, added, state, digest, file_digest, model, vector, brief, "
            "label, desc, tags, sign_version) VALUES ('l', 'i', 'same', 1, 1, 'odd', '', '', '', x'', '', '', '', '', 1)"
        )
    again = LiveServer(tmp_path / "data")
    assert again.token(keys)
    assert again.stop_after("lookalike: damaged pictures are left out (1): l/i (unknown state)") == 0


def test_a_missing_data_folder_is_created_and_logged_but_refused_with_existing(tmp_path: Path) -> None:
    done = serve("--data", str(tmp_path / "data"), "--existing")
    assert (done.returncode, done.stderr) == (1, f"lookalike: no data folder at {tmp_path / 'data'}\n")
    assert not (tmp_path / "data").exists()
    made = f"made the data folder {tmp_path / 'data'}, which was not there or empty"
    assert LiveServer(tmp_path / "data").stop_after(made) == 0
    again = LiveServer(tmp_path / "data", "--existing")
    assert again.stop() == 0
    assert again.log.read_text().count("made the data folder") == 1


def test_a_request_target_may_be_an_absolute_url(server: LiveServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as proxy:
        proxy.sendall(f"GET {server.url}/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert proxy.recv(100).startswith(b"HTTP/1.1 200")


def test_unknown_hosts_are_refused_and_forwarded_addresses_of_unknown_proxies_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOSTS", "Search.example, 127.0.0.1")
    monkeypatch.setenv("LOOKALIKE_PROXIES", "none")
    running = LiveServer(tmp_path / "data")
    keys = running.keys("office")
    cli("keys", "change", "--data", str(running.data), "--name", "office", "--from", "203.0.113.0/24")
    path = "/rest/2.0/realtime_search/same_hq/search"
    inside = {"X-Forwarded-For": "203.0.113.5"}
    answer = httpx.post(running.url + path, params={"access_token": running.token(keys)}, headers=inside)
    assert answer.json()["error_code"] == 6
    for host, status in (("search.example:80", 200), ("search.example.evil", 403), ("evil.example", 403), ("", 403)):
        assert httpx.post(running.url + path, headers={"Host": host}).status_code == status
        assert httpx.get(f"{running.url}/status", headers={"Host": host}).status_code == 200
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("//rest/2.0/realtime_search/same_hq/search", 200, '"error_code":110'),
        ("//rest/2.0/nowhere", 200, '"error_code":110'),
        ("//oauth/2.0/token", 400, "Missing required parameter"),
        ("//image/similarity/v2/search", 200, '"code":400'),
        ("//image/nowhere", 200, '"code":404'),
        ("//v1/image/groups/search", 401, "bad token"),
        ("//v1/image/nowhere/at/all", 404, "not found"),
    ],
)
def test_an_address_with_a_slash_at_its_end_is_answered_as_one_without(
    server: LiveServer, path: str, status: int, said: str
) -> None:
    answer = httpx.post(f"{server.url}{path}", content=b"rn=1")
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    once = httpx.post(f"{server.url}{path[1:]}", content=b"rn=1")
    assert once.status_code == status
    assert once.text[:20] == answer.text[:20]


def test_keys_of_a_folder_that_is_not_there_are_not_made_up(tmp_path: Path) -> None:
    for command in (["list"], ["revoke", "--name", "x"]):
        done = run_keys(*command, "--data", str(tmp_path / "mistyped"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"lookalike: no data folder at {tmp_path / 'mistyped'}\n"
    assert not (tmp_path / "mistyped").exists()


def run_keys(*options: str) -> subprocess.CompletedProcess[str]:
    """Run ``lookalike keys``, which is expected to fail."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", "keys", *options], capture_output=True, text=True, check=False
    )
