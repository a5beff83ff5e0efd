"""An operator's wishes, in a real browser: what the vendors' consoles offer, and what none of them has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.browser import journeys
from tests.browser.scenes import CAT, CUP, PALACE, ROCKET, cropped
from tests.browser.visitor import Visitor, png
from tests.support.live import LiveServer, cli

Visit = Callable[..., Visitor]


def pattern(i: int) -> Image.Image:
    """Return a picture that differs from those of other numbers below 90."""
    picture = Image.new("RGB", (64, 64), (i * 2, 255 - i, 90))
    ImageDraw.Draw(picture).rectangle((i % 30, i // 3, 50, 60), fill=(255 - i * 2, i, i))
    return picture


@pytest.mark.parametrize("wish", journeys.WISHES, ids=lambda wish: wish.__name__)
def test_an_operator_wishes(visit: Visit, wish: Callable[[Visitor], None]) -> None:
    visitor = visit()
    wish(visitor)
    assert visitor.hindrances() == []


_COPY = """async () => {
  const canvas = new OffscreenCanvas(200, 150), context = canvas.getContext('2d');
  context.fillRect(30, 30, 60, 90);
  await navigator.clipboard.write([new ClipboardItem({'image/png': await canvas.convertToBlob({type: 'image/png'})})]);
}"""


def test_a_copied_picture_is_added_or_searched_by_the_browsers_own_keys(visit: Visit) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    visitor.page.evaluate(_COPY)
    visitor.page.keyboard.press("Control+Shift+V")
    visitor.wait_for_tiles(2)
    visitor.page.keyboard.press("Control+V")
    visitor.says("Search by picture")
    visitor.page.locator(".score").first.wait_for()


def test_examples_for_and_against_steer_a_search(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT), png(CUP), png(ROCKET), kind="similar")
    visitor.open(f"l/{name}/search")
    visitor.paste(png(cropped(CAT)))
    first = page.locator(".result h3").first
    first.wait_for()
    assert first.inner_text() == "picture 0"
    with page.expect_response("**/search"):
        visitor.button("Less like picture 0").click()
    with page.expect_response("**/search") as answered:
        visitor.button("More like picture 1").click()
    said = json.loads(answered.value.request.post_data)
    assert [len(said[kind]) for kind in ("also", "not")] == [1, 1]
    page.wait_for_function("() => document.querySelector('.result h3').textContent === 'picture 1'")
    with page.expect_response("**/search"):
        visitor.button("Remove the example picture 1").click()
    with page.expect_response("**/search") as answered:
        visitor.drop(png(ROCKET), on=2)
    assert "base64" in json.loads(answered.value.request.post_data)["also"][0]


def test_tags_and_further_libraries_bound_a_search(visit: Visit) -> None:
    """With all, with one, and without some tags; in another library of the same kind, and in none of another kind."""
    visitor = visit()
    page = visitor.page
    name, other = (
        visitor.library(png(CAT), png(CUP), png(ROCKET), kind="similar"),
        visitor.library(png(PALACE), kind="similar"),
    )
    visitor.library(png(PALACE), kind="product", name="another-kind")
    for i, tags in enumerate((["red", "small"], ["red"], ["blue"])):
        visitor.api("PATCH", f"/libraries/{name}/pictures/p{i}", json={"tags": tags})
    visitor.open(f"l/{name}/search")
    visitor.paste(png(cropped(CAT)))
    visitor.says("3 results")
    for label, tag, found in (
        ("With one of these tags", "red", "2 results"),
        ("With none of these tags", "small", "1 result"),
    ):
        page.get_by_label(label).fill(f"{tag},")
        page.keyboard.press("Enter")
        visitor.says(found)
    visitor.button("Remove tag red").click()
    visitor.button("Remove tag small").click()
    page.get_by_label("With all of these tags").fill("red,small,")
    page.keyboard.press("Enter")
    visitor.says("1 result")
    for tag in ("red", "small"):
        visitor.button(f"Remove tag {tag}").click()
    assert page.get_by_label("another-kind").count() == 0
    page.get_by_label(other).check()
    visitor.says("4 results")
    assert page.locator(".result", has_text=other).count() == 1
    page.locator(".result", has_text=other).get_by_role("button", name="Open").click()
    page.get_by_label("Brief").fill("of the other library")
    visitor.button("Save", "dialog").click()
    visitor.says("Saved")
    assert visitor.api("GET", f"/libraries/{other}/pictures/p0").json()["brief"] == "of the other library"


def test_tags_are_set_on_many_and_filtered_by(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library(png(CAT), png(CUP), png(ROCKET))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    for picture in ("picture 0", "picture 1"):
        tile = visitor.page.get_by_role("option", name=picture)
        tile.hover()
        tile.locator(".tick").click()
    visitor.button("Tag").click()
    visitor.page.get_by_label("Tags").fill("red,")
    visitor.page.keyboard.press("Enter")
    visitor.button("Save", "dialog").click()
    visitor.says("Tagged 2 pictures")
    visitor.page.get_by_role("searchbox").fill("red")
    visitor.page.keyboard.press("Enter")
    visitor.wait_for_tiles(2)
    visitor.button("Remove tag red").click()
    visitor.wait_for_tiles(3)


def test_what_cannot_be_a_tag_is_refused_at_the_field(visit: Visit) -> None:
    """Baidu's libraries take numbers: the field says so before anything is saved, and keeps what was typed."""
    visitor = visit()
    visitor.api("PUT", "/libraries/product", json={"kind": "product", "identity": "picture"})
    content = {"content": png(pattern(89)), "headers": {"Content-Type": "image/png"}}
    picture = visitor.api("POST", "/libraries/product/pictures?brief=numbered", **content).json()["self"]
    visitor.open("l/product")
    visitor.page.get_by_role("option", name="numbered").click()
    field = visitor.page.get_by_label("Tags", exact=True)
    hint = visitor.page.locator(".edit").get_by_text("Up to one number for each class, from 1 to 65535: 1:5, 2:7")
    hint.wait_for()
    field.fill("1:7, cat, 2:65536")
    visitor.page.keyboard.press("Enter")
    assert hint.get_attribute("role") == "alert"
    assert field.input_value() == "cat, 2:65536"
    field.fill("2:65535")
    visitor.page.keyboard.press("Enter")
    assert hint.get_attribute("role") is None
    visitor.page.locator(".edit").get_by_role("button", name="Save", exact=True).click()
    visitor.says("Saved")
    said = visitor.api("GET", picture.removeprefix("/api/v1")).json()
    assert sorted(said["tags"]) == ["1:7", "2:65535"]


def test_totals_of_uploads_add_up(visit: Visit, tmp_path: Path) -> None:
    """Added, already in, refused: a hundred files, ten of which are no pictures, and two that are there."""
    visitor = visit()
    name = visitor.library()
    files = []
    for i in range(90):
        path = tmp_path / f"good-{i}.png"
        pattern(i).save(path)
        files.append(path)
    for i in range(10):
        (tmp_path / f"bad-{i}.jpg").write_bytes(b"no picture" * i)
        files.append(tmp_path / f"bad-{i}.jpg")
    visitor.open(f"l/{name}")
    chooser = visitor.page.locator(".head input[multiple]")
    chooser.set_input_files(files)
    visitor.says("100 files done", times=4)  # each is looked for before it is added
    totals = visitor.page.locator(".drawer .totals")
    assert re.findall(r"\d+", totals.inner_text()) == ["90", "0", "10", "0"]
    visitor.says("90 pictures")  # the page is read again when the last is in: the next begins where this one ends
    visitor.page.wait_for_load_state("networkidle")
    visitor.wait_for_tiles(60)
    visitor.button("Next").click()
    visitor.wait_for_tiles(30)
    visitor.page.locator(".head input[multiple]").set_input_files(files[:2])
    visitor.says("102 files done")
    assert re.findall(r"\d+", totals.inner_text()) == ["90", "2", "10", "0"]
    with visitor.page.expect_download() as download:
        visitor.button("Save a report").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert len(lines) == 102
    assert sum(line["state"] == "refused" and "code" in line for line in lines) == 10
    assert visitor.page.evaluate("document.querySelectorAll('*').length") < 1500


def test_a_file_larger_than_a_request_is_added_all_the_same(visit: Visit, tmp_path: Path) -> None:
    """It is sent ahead of the call that adds it."""
    visitor = visit()
    name = visitor.library()
    CUP.resize((1600, 1067)).save(tmp_path / "large.png", compress_level=0)
    assert (tmp_path / "large.png").stat().st_size > 4_400_000
    visitor.open(f"l/{name}")
    visitor.page.locator(".head input[multiple]").set_input_files(tmp_path / "large.png")
    visitor.says("1 file done")
    assert re.findall(r"\d+", visitor.page.locator(".drawer .totals").inner_text()) == ["1", "0", "0", "0"]
    visitor.wait_for_tiles(1)
    assert visitor.hindrances() == []


def test_an_upload_that_failed_is_tried_again(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library()
    visitor.open(f"l/{name}")
    visitor.page.route(
        "**/pictures", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    visitor.drop(png(CAT), png(CUP))
    visitor.says("2 of 2 files failed")
    assert re.findall(r"\d+", visitor.page.locator(".totals").inner_text()) == ["0", "0", "0", "2"]
    visitor.page.unroute("**/pictures")
    visitor.button("Send all again").click()
    visitor.wait_for_tiles(2)
    assert re.findall(r"\d+", visitor.page.locator(".totals").inner_text()) == ["2", "0", "0", "0"]


def test_a_file_that_the_gateway_refuses_is_refused_with_the_reason(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    name = visitor.library()
    (tmp_path / "large.png").write_bytes(bytes(34_000_000))
    visitor.open(f"l/{name}")
    visitor.page.locator(".head input[multiple]").first.set_input_files(tmp_path / "large.png")
    visitor.says("The file is larger than allowed")
    assert visitor.refused == [413]


def test_uploads_go_on_after_the_server_was_killed(visit: Visit, tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data")
    keys = server.keys("operator")
    visitor = visit(at=(server, keys))
    name = visitor.library()
    visitor.open(f"l/{name}")
    pictures = [png(pattern(i).resize((1200, 1200))) for i in range(20)]
    visitor.drop(*pictures)
    visitor.page.wait_for_function("() => document.querySelector('.totals .added dd').textContent > 2")
    server.kill()
    visitor.says("Waits for the connection")
    added, _, refused, failed = map(int, re.findall(r"\d+", visitor.page.locator(".totals").inner_text()))
    assert added < 20
    assert (refused, failed) == (0, 0)
    server = LiveServer(tmp_path / "data", "--port", server.url.rpartition(":")[2])
    visitor.says("20 files done", times=2)
    assert re.findall(r"\d+", visitor.page.locator(".totals").inner_text())[2:] == ["0", "0"]
    visitor.page.wait_for_function("() => !document.querySelector('.line.waiting, .line.sending')")
    visitor.wait_for_tiles(20)
    assert visitor.api("GET", f"/libraries/{name}").json()["pictures"] == 20
    server.stop()


def test_a_folder_is_uploaded_whole_without_litter(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    name = visitor.library()
    (tmp_path / "pictures/deep").mkdir(parents=True)
    pattern(1).save(tmp_path / "pictures/one.png")
    pattern(2).save(tmp_path / "pictures/deep/two.png")
    (tmp_path / "pictures/.DS_Store").write_bytes(b"x")
    visitor.open(f"l/{name}")
    visitor.page.locator("input[webkitdirectory]").set_input_files(tmp_path / "pictures")
    visitor.says("2 files done")
    visitor.wait_for_tiles(2)


def test_signing_in_by_keys_and_out(visit: Visit) -> None:
    visitor = visit(signed_in=False)
    page = visitor.page
    visitor.open()
    assert page.title() == "Sign in · lookalike"
    page.get_by_label("API key").fill(visitor.keys.access_key)
    page.get_by_label("Secret key").fill("wrong")
    visitor.button("Sign in").click()
    visitor.says("These keys are not known")
    page.get_by_label("Secret key").fill(visitor.keys.secret_key)
    visitor.button("Sign in").click()
    visitor.says("Libraries")
    (cookie,) = [one for one in page.context.cookies() if "lookalike" in one["name"]]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.reload()
    visitor.says("Libraries")
    visitor.button("Sign out").click()
    visitor.says("With the keys of your application")


def test_a_link_signs_in_once(visit: Visit, server: LiveServer) -> None:
    visitor = visit(signed_in=False)
    link = cli("console", "--data", str(server.data), "--url", server.url, "--name", "operator").strip()
    visitor.page.goto(link)
    visitor.says("Libraries")
    visitor.page.context.clear_cookies()
    visitor.page.goto("about:blank")
    visitor.page.goto(link)
    visitor.says("The link was used already")
    assert visitor.refused == [401, 401]  # the link, and the session that there was


def test_a_link_signs_in_where_the_console_is_open_already(visit: Visit) -> None:
    visitor = visit(signed_in=False)
    visitor.open()
    visitor.says("With the keys of your application")
    visitor.page.evaluate("(link) => location.assign(link)", visitor.link())
    visitor.says("Libraries")
    assert "once" not in visitor.page.url


def test_a_session_that_is_over_keeps_the_page(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}")
    visitor.page.get_by_role("option").click()
    visitor.page.get_by_label("Brief").fill("typed before")
    visitor.page.context.clear_cookies()
    visitor.button("Save", "dialog").click()
    visitor.says("Sign in again")
    visitor.page.get_by_label("API key").fill(visitor.keys.access_key)
    visitor.page.get_by_label("Secret key").fill(visitor.keys.secret_key)
    visitor.button("Sign in", "dialog").click()
    visitor.says("Saved")
    assert visitor.api("GET", f"/libraries/{name}/pictures/p0").json()["brief"] == "typed before"
    assert visitor.refused == [401]


def test_markup_in_briefs_is_text(visit: Visit) -> None:
    evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
    visitor = visit()
    name = visitor.library(png(CAT), png(CUP), briefs=[evil, "javascript:alert(3)"])
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(2)
    visitor.page.get_by_role("option", name=evil).click()
    assert visitor.page.get_by_role("heading", name=evil).is_visible()
    assert visitor.page.locator("dialog img").count() == 1
    visitor.page.keyboard.press("]")
    visitor.page.keyboard.press("[")
    assert visitor.page.locator("a[href^=javascript]").count() == 0


def test_no_service_is_said_and_gets_over(visit: Visit) -> None:
    """The page goes on by itself once the service is back."""
    visitor = visit()
    name = visitor.library(png(CAT))
    visitor.page.route("**/api/v1/libraries", lambda route: route.abort())
    visitor.open()
    visitor.says("The service cannot be reached")
    visitor.page.unroute("**/api/v1/libraries")
    visitor.says(name)


def test_a_view_that_failed_is_tried_again(visit: Visit) -> None:
    """A problem of the service does not go away by itself."""
    visitor = visit()
    name = visitor.library(png(CAT))
    problem = {"code": "internal", "status": 500, "title": "…", "detail": "", "request": "r"}
    visitor.page.route("**/api/v1/libraries", lambda route: route.fulfill(status=500, json=problem))
    visitor.open()
    visitor.button("Try again").wait_for()
    visitor.page.unroute("**/api/v1/libraries")
    visitor.button("Try again").click()
    visitor.says(name)


def test_being_told_to_wait_counts_down(visit: Visit) -> None:
    visitor = visit()
    problem = {"code": "rate_reached", "status": 429, "title": "…", "detail": "", "request": "r"}
    busy: dict[str, Any] = {"status": 429, "json": problem, "headers": {"Retry-After": "2"}}
    visitor.page.route("**/api/v1/libraries", lambda route: route.fulfill(**busy))
    visitor.open()
    visitor.says("Again in 2 s")
    visitor.page.unroute("**/api/v1/libraries")
    visitor.button("Try again").click()
    visitor.page.locator(".cards").wait_for()


def test_a_library_takes_more_at_once_when_its_capacity_is_raised(visit: Visit) -> None:
    """Full, it refuses and says why; raised in its settings, the file that was refused comes in."""
    visitor = visit()
    page = visitor.page
    visitor.open()
    visitor.button("New library").click()
    page.get_by_label("Name").fill("small")
    page.get_by_label("Capacity").fill("1")
    visitor.button("Make library").click()
    visitor.says("No pictures yet")
    visitor.drop(png(CAT))
    visitor.wait_for_tiles(1)
    visitor.drop(png(CUP))
    visitor.says("The library takes no more pictures")
    visitor.button("Settings").click()
    page.get_by_label("Capacity").fill("2")
    visitor.button("Save", "dialog").click()
    visitor.says("1 picture / 2")
    visitor.drop(png(CUP))
    visitor.wait_for_tiles(2)


def test_the_index_says_what_searches_find(visit: Visit) -> None:
    visitor = visit()
    visitor.library(png(CAT), png(CUP))
    visitor.open("index")
    visitor.says("Searches find everything that was added")
    held = visitor.api("GET", "/index").json()["pictures"]
    assert visitor.page.locator(".facts dd").first.inner_text() == f"{held:,}"
    lagging = {
        "model": "m",
        "pictures": 7,
        "lag_seconds": 61.2,
        "dead_letters": 2,
        "oldest_unindexed": "2026-01-02T03:04:05Z",
    }
    visitor.page.route("**/api/v1/index", lambda route: route.fulfill(json=lagging))
    visitor.page.reload()
    visitor.says("Searches find what was added 61 seconds ago")
    visitor.says("2 messages could not be done")


def test_calls_are_drawn_by_what_they_do(visit: Visit) -> None:
    visitor = visit()
    days = [
        {"day": "2026-01-01", "calls": 12},
        {"day": "2026-01-02", "calls": 30, "operations": {"search": 20, "add": 9, "groups": 1}},
    ]
    said = {"application": "operator", "app_id": "1", "counted": True, "days": days}
    visitor.page.route("**/api/v1/usage?days=30", lambda route: route.fulfill(json=said))
    visitor.open()
    visitor.says("30 calls today · 42 calls in 30 days")
    legend = visitor.page.locator(".panel .legend li").all_inner_texts()
    assert legend == ["search 20", "add 9", "look and list 1", "other 12"]
    assert visitor.page.locator(".usage rect").count() == 4
    assert visitor.hindrances() == []
