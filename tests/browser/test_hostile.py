"""What others would do to an operator in a browser: each is refused, nothing is shown, nothing is changed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.browser.scenes import CAT, CUP
from tests.browser.visitor import Visitor, png
from tests.support.live import LiveServer

Visit = Callable[..., Visitor]

EVIL = '"><img src=x onerror=alert(1)>.png'

#: Pages of others: another site, and one of the same host, to which the browser does send the cookie.
OTHERS = ["http://elsewhere.example/", "http://127.0.0.1:9/"]

#: Posts a form, which browsers let every page do; the row is one of a bulk call, too.
_POST = """(action) => {
  const form = Object.assign(document.createElement('form'), {method: 'post', action, enctype: 'text/plain'});
  form.append(Object.assign(document.createElement('input'), {name: '{"op": "delete", "id": "p0", "brief": "', value: '"}'}));
  document.body.append(form);
  form.submit();
}"""

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def counted(visitor: Visitor, name: str) -> int:
    return int(visitor.api("GET", f"/libraries/{name}").json()["pictures"])


@pytest.mark.parametrize("elsewhere", OTHERS)
def test_pages_of_others_change_nothing(visit: Visit, elsewhere: str) -> None:
    """They send forms with whatever cookie the browser lets them have."""
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT))
    page.route(f"{elsewhere}**", lambda route: route.fulfill(body="<p>others", content_type="text/html"))
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.extend([answer.status] if answer.url.startswith(visitor.url) else []))
    for call in ("pictures", "bulk", "duplicates"):
        target = f"{visitor.url}/api/v1/libraries/{name}/{call}"
        page.goto(elsewhere)
        page.evaluate(_POST, target)
        page.wait_for_url(target)
    assert len(statuses) == 3
    assert set(statuses) <= {401, 403}
    assert counted(visitor, name) == 1
    visitor.wrong.clear()


@pytest.mark.parametrize("elsewhere", OTHERS)
def test_no_page_frames_the_console_or_shows_its_pictures(visit: Visit, elsewhere: str) -> None:
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT))
    picture = f"{visitor.url}/api/v1/libraries/{name}/pictures/p0/image?size=thumb"
    markup = f'<iframe src="{visitor.url}/console/l/{name}"></iframe><img src="{picture}">'
    page.route(f"{elsewhere}**", lambda route: route.fulfill(body=markup, content_type="text/html"))
    page.goto(elsewhere)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.querySelector('img').naturalWidth") == 0
    assert all(not frame.url.startswith(visitor.url) or frame.locator("main").count() == 0 for frame in page.frames)
    visitor.wrong.clear()


def test_markup_in_names_of_files_is_text(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    name = visitor.library()
    files = [
        {"name": EVIL, "mimeType": "image/png", "buffer": png(CAT)},
        {"name": f"bad{EVIL}", "mimeType": "image/png", "buffer": b"no picture"},
    ]
    visitor.open(f"l/{name}")
    visitor.page.locator(".head input[multiple]").set_input_files(files)
    visitor.says("2 files done")
    assert EVIL in visitor.page.locator(".line.added").inner_text()
    visitor.wait_for_tiles(1)
    visitor.page.get_by_role("option").click()
    assert visitor.page.get_by_role("heading", name=EVIL).is_visible()
    visitor.button("Find similar", "dialog").click()
    visitor.page.locator(".result h3").wait_for()
    assert visitor.page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("file", [SVG, b"<!doctype html><script>alert(1)</script>", b"GIF89a<script>alert(1)</script>"])
def test_what_only_looks_like_a_picture_is_refused(visit: Visit, file: bytes) -> None:
    visitor = visit()
    name = visitor.library()
    visitor.open(f"l/{name}")
    visitor.drop(file)
    visitor.says("No picture that can be read")
    assert counted(visitor, name) == 0
    visitor.paste(file)
    visitor.says("No picture that can be read")
    assert visitor.page.locator(".score").count() == 0


@pytest.mark.parametrize(
    "id_", ["a/b/../c", "🐈" * 128, "x" * 512, "?a=1&b#c%2F", "<img src=x onerror=alert(1)>", "~Li4", ".."]
)
def test_any_id_is_opened_changed_and_found(visit: Visit, id_: str) -> None:
    visitor = visit()
    name = visitor.library()
    image = {"base64": base64.b64encode(png(CAT)).decode()}
    visitor.api("POST", f"/libraries/{name}/pictures", json={"image": image, "id": id_})
    visitor.open(f"l/{name}")
    visitor.page.get_by_role("option").click()
    visitor.page.get_by_label("Brief").fill("a cat")
    visitor.button("Save", "dialog").click()
    visitor.says("Saved")
    assert visitor.page.locator("dialog code").first.inner_text() == id_
    visitor.button("Find similar", "dialog").click()
    visitor.says("identical")
    visitor.page.reload()
    visitor.says("identical")
    (only,) = visitor.api("GET", f"/libraries/{name}/pictures").json()["pictures"]
    assert (only["id"], only["brief"]) == (id_, "a cat")


def test_a_nul_opens_nothing(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}?picture=%00")
    visitor.wait_for_tiles(1)
    visitor.page.locator(".toast").wait_for()
    assert visitor.page.locator("dialog").count() == 0
    assert len(visitor.refused) == 1


def test_what_another_tenant_has_is_nowhere(visit: Visit, server: LiveServer) -> None:
    other = server.keys("somebody-else", "elsewhere")
    theirs = visit(at=(server, other))
    name = theirs.library(png(CUP), name="their-library")
    visitor = visit()
    visitor.open()
    assert visitor.page.get_by_text(name).count() == 0
    for path in (f"l/{name}", f"l/{name}?picture=p0", f"l/{name}/search?picture=p0", f"l/{name}/duplicates"):
        visitor.page.goto(f"{visitor.url}/console/{path}")
        visitor.says("There is no such library")
        assert visitor.page.locator(".tile:not(.skeleton), .result, .cluster").count() == 0
    mine = visitor.library(png(CAT))
    addresses = f"a=/api/v1/libraries/{mine}/pictures/p0&b=/api/v1/libraries/{name}/pictures/p0"
    visitor.page.goto(f"{visitor.url}/console/compare?{addresses}")
    visitor.says("There is no such library")
    assert set(visitor.refused) == {404}
    assert counted(theirs, name) == 1


def test_wrong_keys_have_to_wait(visit: Visit, server: LiveServer) -> None:
    keys = server.keys("guessed")
    visitor = visit(signed_in=False, at=(server, keys))
    visitor.open()
    for _ in range(6):
        visitor.page.get_by_label("API key").fill(keys.access_key)
        visitor.page.get_by_label("Secret key").fill("wrong" * 6)
        visitor.button("Sign in").click()
        visitor.page.wait_for_function("() => !document.querySelector('.signin .main').disabled")
    visitor.says("Too many tries with wrong keys")
    assert visitor.refused == [401] * 5 + [429]


def test_every_answer_of_the_console_is_fenced_in(server: LiveServer) -> None:
    answer = httpx.get(f"{server.url}/console/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
