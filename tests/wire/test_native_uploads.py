"""Files sent ahead of the call that uses them: large pictures, and everything that may be wrong with one."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from lookalike.domain.application import Application
from lookalike.domain.staged import StagedId
from lookalike.handlers.process_ports import serving
from lookalike.ports import Ports
from lookalike.service import staging
from lookalike.service.staging_errors import UploadExpired, UploadRefused
from lookalike.wire.native import limits
from tests.conftest import ALICE
from tests.support.baidu import picture
from tests.support.fakes import MemoryStaging, SetClock, memory_ports
from tests.support.live import Keys, LiveServer
from tests.support.native import Answered, NativeCaller, problem

BOB = Application("bob's", "secret of bob", "20000002", "another tenant", "bob")


@dataclass(frozen=True, slots=True)
class Served:
    """A service in memory, and a caller of it."""

    ports: Ports
    staged: MemoryStaging
    clock: SetClock
    caller: NativeCaller

    def offered(self) -> str:
        return str(self.caller.call("POST", "/uploads").json["upload"])

    def sent(self, file: bytes) -> str:
        """Offer an upload and send the file, as its store would take it; its id."""
        id_ = self.offered()
        found = StagedId.of(ALICE.tenant, id_)
        assert found is not None
        self.staged.files[found.key] = file
        return id_


@pytest.fixture
def served() -> Iterator[Served]:
    staged, clock = MemoryStaging(), SetClock(1_767_323_045_000)
    ports = memory_ports(ALICE, BOB, staged=staged, clock=clock)
    with serving(ports):
        caller = NativeCaller(ALICE)
        caller.library("shop")
        yield Served(ports, staged, clock, caller)


def test_an_offer_says_where_how_much_and_until_when(served: Served) -> None:
    answer = served.caller.call("POST", "/uploads", headers={"host": "pictures.example", "x-forwarded-proto": "https"})
    said = answer.json
    assert answer.status == 201
    assert said["url"] == f"https://pictures.example/api/v1/uploads/{said['upload']}"
    assert said["max_bytes"] == 33_554_432
    assert (said["send_before"], said["use_before"]) == ("2026-01-02T03:14:05.000Z", "2026-01-02T04:04:05.000Z")
    assert set(said["fields"]) == {"policy", "signature"}
    assert not served.staged.files, "nothing is kept until a file is sent"


def _uses(caller: NativeCaller, id_: str) -> dict[str, Callable[[], Answered]]:
    """Every call that takes a picture, with the upload of that id."""
    seen = {"upload": id_}
    base = "/libraries/shop"
    return {
        "add": lambda: caller.call("POST", f"{base}/pictures", {"image": seen}),
        "put": lambda: caller.call("PUT", f"{base}/pictures/b", {"image": seen}),
        "search": lambda: caller.call("POST", f"{base}/search", {"image": seen}),
        "also": lambda: caller.call("POST", f"{base}/search", {"image": {"picture": "a"}, "also": [seen]}),
        "check": lambda: caller.call("POST", f"{base}/check", {"image": seen}),
        "several": lambda: caller.call("POST", "/search", {"image": seen, "libraries": ["shop"]}),
        "compare": lambda: caller.call("POST", "/compare", {"a": {"picture": "a", "library": "shop"}, "b": seen}),
    }


@pytest.mark.parametrize("use", ["add", "put", "search", "also", "check", "several", "compare"])
def test_an_upload_stands_wherever_a_picture_does_and_once(served: Served, use: str) -> None:
    served.caller.put("shop", "a", picture(1))
    id_ = served.sent(picture(1, "BMP"))
    assert _uses(served.caller, id_)[use]().status in (200, 201)
    assert not served.staged.files, "it is gone"
    for again in _uses(served.caller, id_).values():
        problem(again(), 409, "upload_used")


def test_a_row_of_a_bulk_call_takes_one(served: Served) -> None:
    rows = [{"id": "a", "upload": served.sent(picture(1))}, {"id": "b", "upload": served.offered()}]
    rows.append({"op": "delete", "id": "c", "upload": "x"})
    body = b"\n".join(json.dumps(row).encode() for row in rows)
    first, second, third, _ = served.caller.call("POST", "/libraries/shop/bulk", body=body).lines
    assert (first["status"], first["created"]) == (201, True)
    assert (second["status"], second["code"]) == (409, "upload_missing")
    assert (third["status"], third["field"]) == (400, "/upload")


def test_what_was_never_sent_is_missing_and_may_still_come(served: Served) -> None:
    id_ = served.offered()
    said = problem(_uses(served.caller, id_)["add"](), 409, "upload_missing")
    assert said["field"] == "/image/upload"
    found = StagedId.of(ALICE.tenant, id_)
    assert found is not None
    served.staged.files[found.key] = picture(1)
    assert _uses(served.caller, id_)["add"]().status == 201


def test_another_tenants_upload_is_none(served: Served) -> None:
    id_ = served.sent(picture(1))
    other = NativeCaller(BOB)
    other.library("shop")
    for name, use in _uses(other, id_).items():
        if name not in ("also", "compare"):  # whose other picture is missing first
            problem(use(), 404, "upload_not_found")
    assert len(served.staged.files) == 1
    assert _uses(served.caller, id_)["add"]().status == 201, "and its owner's is untouched"


@pytest.mark.parametrize("id_", ["nonsense", "AAAA", "~" * 36, "é", "../../catalog.db", "x" * 5000, "a\0b", ""])
def test_what_is_no_id_names_no_upload(served: Served, id_: str) -> None:
    problem(_uses(served.caller, id_)["add"](), 404, "upload_not_found")


def test_what_is_no_id_is_refused_also_where_no_file_would_be_read(served: Served) -> None:
    served.caller.put("shop", "a", picture(1))
    said = {"image": {"upload": "×"}, "id": "a"}
    problem(served.caller.call("POST", "/libraries/shop/pictures", said), 404, "upload_not_found")


def test_an_id_whose_expiry_was_changed_is_none(served: Served) -> None:
    data = bytearray(base64.urlsafe_b64decode(served.sent(picture(1))))
    data[4] ^= 1
    problem(_uses(served.caller, base64.urlsafe_b64encode(data).decode())["add"](), 404, "upload_not_found")


def test_an_upload_expires(served: Served) -> None:
    id_ = served.sent(picture(1))
    served.clock.now += staging.USE_SECONDS * 1000
    problem(_uses(served.caller, id_)["add"](), 410, "upload_expired")


@pytest.mark.parametrize(
    ("file", "code"), [(b"no picture", "not_a_picture"), (b"", "empty_picture"), (b"<svg/>", "not_a_picture")]
)
def test_a_file_that_is_no_picture_has_its_problem_and_is_used_up(served: Served, file: bytes, code: str) -> None:
    id_ = served.sent(file)
    assert problem(_uses(served.caller, id_)["add"](), 422, code)["field"] == "/image/upload"
    problem(_uses(served.caller, id_)["add"](), 409, "upload_used")


def test_what_is_refused_before_the_file_is_read_leaves_it(served: Served) -> None:
    id_ = served.sent(picture(1))
    assert served.caller.call("POST", "/libraries/none/pictures", {"image": {"upload": id_}}).status == 404
    assert served.caller.call("POST", "/libraries/shop/search", {"image": {"upload": id_}, "after": "!"}).status == 400
    assert served.caller.call("POST", "/libraries/shop/pictures", {"image": {"upload": id_, "url": "x"}}).status == 400
    assert _uses(served.caller, id_)["add"]().status == 201


def test_of_callers_at_once_one_uses_it(served: Served) -> None:
    id_, statuses = served.sent(picture(1)), []
    barrier = threading.Barrier(6)

    def use() -> None:
        barrier.wait()
        statuses.append(_uses(served.caller, id_)["check"]().status)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]


def test_an_original_that_no_answer_holds_is_answered_by_its_address(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = picture(1)
    served.caller.put("shop", "a", file)
    path = served.caller.path("shop", "a") + "/image"
    monkeypatch.setattr(limits, "MAX_ANSWER_BYTES", len(file) - 1)
    answer = served.caller.call("GET", path)
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["location"].startswith("https://memory.example/")
    assert answer.headers["location"].endswith("?type=image/png&seconds=300"), "the type that was verified"
    assert answer.headers["cache-control"] == "no-store", "the address is for a few minutes"
    monkeypatch.setattr(limits, "MAX_ANSWER_BYTES", len(file))
    assert served.caller.call("GET", path).body == file
    assert served.caller.call("GET", path, size="thumb").status == 200


# -- A server of one machine takes the file itself ---------------------------------------------------------------------


def _noise(side: int) -> bytes:
    """A picture that no format makes smaller, of 3 bytes a pixel."""
    out = BytesIO()
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "BMP")
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Program:
    """A program of one application, at a live server."""

    server: LiveServer
    keys: Keys

    def call(self, method: str, path: str, said: Any = None, **more: Any) -> httpx.Response:
        auth = (self.keys.access_key, self.keys.secret_key)
        return httpx.request(method, f"{self.server.url}/api/v1{path}", json=said, auth=auth, timeout=60, **more)

    def offer(self) -> dict[str, Any]:
        return dict(self.call("POST", "/uploads").json())

    def send(self, offer: dict[str, Any], file: bytes, **fields: str) -> httpx.Response:
        return httpx.post(offer["url"], data={**offer["fields"], **fields}, files={"file": file}, timeout=60)

    def sends(self, offer: dict[str, Any], file: bytes, status: int, code: str, **fields: str) -> None:
        answer = self.send(offer, file, **fields)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.fixture
def program(server: LiveServer) -> Program:
    made = Program(server, server.keys(f"uploads {secrets.token_hex(4)}"))
    made.call("PUT", "/libraries/large", {"kind": "same"})
    return made


def test_a_picture_larger_than_a_request_is_added_found_and_shown(program: Program) -> None:
    file, offer = _noise(1400), program.offer()
    assert len(file) > 5_000_000
    assert program.call("POST", "/libraries/large/pictures", {"image": {"upload": offer["upload"]}}).status_code == 409
    assert program.send(offer, file).status_code == 204
    added = program.call("POST", "/libraries/large/pictures", {"image": {"upload": offer["upload"]}, "id": "a"})
    assert (added.status_code, added.json()["created"]) == (201, True)
    again = program.offer()
    program.send(again, file)
    found = program.call("POST", "/libraries/large/check", {"image": {"upload": again["upload"]}}).json()
    assert (found["held"], found["picture"]["id"]) == (True, "a")
    shown = program.call("GET", "/libraries/large/pictures/a/image?size=original")
    assert (shown.content, shown.headers["content-type"]) == (file, "image/bmp")
    assert shown.headers["content-security-policy"] == "sandbox; default-src 'none'"
    headers = {"If-None-Match": shown.headers["etag"]}
    assert program.call("GET", "/libraries/large/pictures/a/image", headers=headers).status_code == 304
    assert not list((program.server.data / "staged").rglob("*/*")), "nothing is left"


def test_an_address_takes_one_file_with_its_own_form_and_no_other(program: Program) -> None:
    offer, other = program.offer(), program.offer()
    program.sends(offer, b"x", 403, "upload_refused", signature="0" * 64)
    program.sends(offer, b"x", 403, "upload_refused", policy="e30=")
    program.sends({**offer, "fields": other["fields"]}, b"x", 403, "upload_refused")
    program.sends(offer, b"", 422, "empty_picture")
    assert program.send(offer, b"a file").status_code == 204
    program.sends(offer, b"another", 409, "upload_sent")
    program.sends(other, bytes(33_554_433), 413, "upload_too_large")
    assert program.send(other, bytes(33_554_432)).status_code == 204


def test_a_form_of_before_is_too_late(served: Served) -> None:
    said = served.caller.call("POST", "/uploads").json
    served.clock.now += staging.SEND_SECONDS * 1000
    with pytest.raises(UploadExpired):
        staging.check_form(served.ports, said["upload"], said["fields"])
    disabled = replace(ALICE, active=False)
    served.ports.applications.save_application(disabled)
    with pytest.raises(UploadRefused):
        staging.check_form(served.ports, said["upload"], said["fields"])


NO_FORMS = (
    ("application/json", b"{}"),
    ("multipart/form-data", b""),
    ("multipart/form-data; boundary=x", b""),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("multipart/form-data; boundary=x", b"x" * 100_000),
)


def test_a_body_that_is_no_form(program: Program) -> None:
    for content_type, body in NO_FORMS:
        answer = httpx.post(program.offer()["url"], content=body, headers={"content-type": content_type}, timeout=60)
        assert (answer.status_code, answer.json()["status"]) == (400, 400), (content_type, body[:20])
