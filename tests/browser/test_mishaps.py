"""What goes wrong for somebody who does not program: nothing is lost, and each thing is said with its way out."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.scenes import CAT, CUP, ROCKET, cropped
from tests.browser.visitor import Visitor, png
from tests.support.live import LiveServer

Visit = Callable[..., Visitor]


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def brief(visitor: Visitor) -> Any:
    return visitor.page.get_by_label("Brief")


def totals(visitor: Visitor) -> list[str]:
    """Added, already in, refused, failed."""
    return re.findall(r"\d+", visitor.page.locator(".drawer .totals").inner_text())


_SEEN = """() => {
  const img = document.querySelector('dialog .stage img'), stage = img.parentElement.getBoundingClientRect(), box = img.getBoundingClientRect();
  const within = box.left >= stage.left - 1 && box.right <= stage.right + 1 && box.top >= stage.top - 1 && box.bottom <= stage.bottom + 1;
  const ratio = box.width / box.height / (img.naturalWidth / img.naturalHeight);
  return {within, larger: box.width > img.naturalWidth + 1, ratio: Math.abs(ratio - 1) < 0.02, share: Math.max(box.width / stage.width, box.height / stage.height)};
}"""


@pytest.mark.parametrize("size", [(1280, 860), (320, 640), (3840, 2160)], ids=["1280", "320", "4k"])
def test_a_picture_is_seen_whole(visit: Visit, size: tuple[int, int]) -> None:
    """Upright, lying, wide and small: all of it, in its proportions, and never larger than it is."""
    visitor = visit(viewport={"width": size[0], "height": size[1]})
    sides = [(480, 640), (640, 480), (1500, 200), (200, 1500), (60, 40)]
    name = visitor.library(*(png(CAT.resize(side)) for side in sides))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(len(sides))
    visitor.page.get_by_role("option", name="picture 0").click()
    for i, side in enumerate(sides):
        visitor.page.get_by_role("heading", name=f"picture {i}").wait_for()
        visitor.page.wait_for_function("() => document.querySelector('.stage img').naturalWidth")
        seen = visitor.page.evaluate(_SEEN)
        assert seen["within"], side
        assert not seen["larger"], side
        assert seen["ratio"], side
        visitor.page.keyboard.press("]")


def test_the_original_is_seen_in_its_own_size(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library(jpeg(CAT.resize((2400, 1800))))
    visitor.open(f"l/{name}")
    visitor.page.get_by_role("option").click()
    width = "document.querySelector('.stage img').naturalWidth"
    visitor.page.wait_for_function(f"() => {width} === 1600")
    visitor.button("100 %", "dialog").click()
    visitor.page.wait_for_function(f"() => {width} === 2400")
    assert visitor.page.locator(".stage img").evaluate("(one) => one.offsetWidth") == 2400
    visitor.page.route("**/image?*original*", lambda route: route.abort())
    visitor.button("100 %", "dialog").click()
    visitor.page.reload()
    visitor.page.get_by_role("option").click()
    visitor.button("100 %", "dialog").click()
    visitor.says("The original is too large to be shown here")


def test_what_is_typed_is_asked_for_or_kept(visit: Visit) -> None:
    """Esc, Next and the browser's Back: nothing that was typed goes without a question."""
    visitor = visit()
    page, press = visitor.page, visitor.page.keyboard.press
    name = visitor.library(png(CAT), png(CUP))
    visitor.open()
    page.get_by_role("link", name=name).click()
    visitor.wait_for_tiles(2)
    page.get_by_role("option", name="picture 0").focus()
    press("e")
    page.wait_for_function("() => document.activeElement.matches('.edit textarea')")
    press("Control+a")
    page.keyboard.type("typed")
    press("Escape")
    visitor.says("Save what you have changed?")
    assert visitor.hindrances() == []
    press("Escape")
    page.get_by_role("heading", name="Save what you have changed?").wait_for(state="detached")
    assert brief(visitor).input_value() == "typed"
    visitor.button("Next", "dialog").click()
    visitor.button("Go on editing").click()
    page.go_back()
    page.locator("dialog").wait_for(state="detached")
    page.go_forward()
    visitor.wait_for_tiles(2)
    page.get_by_role("option", name="picture 0").click()
    assert brief(visitor).input_value() == "typed"
    visitor.button("Next", "dialog").click()
    page.locator("dialog.small").get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="picture 1").wait_for()
    assert visitor.api("GET", f"/libraries/{name}/pictures/p0").json()["brief"] == "typed"
    brief(visitor).fill("given up")
    press("Escape")
    visitor.button("Discard").click()
    page.locator("dialog").wait_for(state="detached")
    page.get_by_role("option", name="picture 1").click()
    assert brief(visitor).input_value() == "picture 1"
    brief(visitor).fill("by keys")
    with page.expect_response("**/p1"):
        press("Control+Enter")
    page.get_by_role("heading", name="by keys").wait_for()
    press("Escape")
    page.locator("dialog").wait_for(state="detached")


def test_what_somebody_else_saved_stands_beside_what_was_typed(visit: Visit) -> None:
    """Mine or theirs, as is chosen; where they have changed another field, both stay without a question."""
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT))
    path = f"/libraries/{name}/pictures/p0"

    def meanwhile(said: dict[str, Any]) -> None:
        visitor.api("PATCH", path, json=said)
        visitor.button("Save", "dialog").click()

    visitor.open(f"l/{name}")
    page.get_by_role("option").click()
    brief(visitor).fill("mine")
    meanwhile({"brief": "theirs"})
    page.locator(".conflict", has_text="theirs").wait_for()
    assert visitor.hindrances() == []
    assert "ETag" not in page.locator("dialog").inner_text()
    visitor.button("Keep mine").click()
    visitor.says("Saved")
    assert visitor.api("GET", path).json()["brief"] == "mine"

    brief(visitor).fill("mine again")
    page.get_by_label("Description").fill("of a cat")
    meanwhile({"brief": "theirs again"})
    visitor.button("Take theirs").click()
    page.wait_for_function("() => document.querySelector('.edit textarea').value === 'theirs again'")
    assert page.get_by_label("Description").input_value() == "of a cat"
    meanwhile({"tags": ["red"]})
    page.locator(".edit .tag", has_text="red").wait_for()
    held = visitor.api("GET", path).json()
    assert (held["brief"], held["desc"], held["tags"]) == ("theirs again", "of a cat", ["red"])
    assert visitor.refused == [412, 412, 412]


def test_the_same_pixels_are_not_added_twice_unless_that_is_meant(visit: Visit) -> None:
    """Another file of a picture is said to be in already, and comes in all the same where that is chosen."""
    visitor = visit()
    name = visitor.library(png(CAT), briefs=["a cat"])
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    buffer = io.BytesIO()
    CAT.save(buffer, "BMP")
    visitor.drop(buffer.getvalue(), png(CUP))
    visitor.says("The very same picture as a cat")
    visitor.wait_for_tiles(2)
    assert totals(visitor) == ["1", "1", "0", "0"]
    visitor.button("add anyway").click()
    visitor.wait_for_tiles(3)
    assert totals(visitor) == ["2", "0", "0", "0"]


def test_a_picture_larger_than_allowed_comes_in_smaller(visit: Visit) -> None:
    """It is said which sides are taken; scaled down, it is added, looked for, and asked about."""
    visitor = visit()
    name = visitor.library(png(CUP))
    large = jpeg(CAT.resize((5200, 3900)))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    visitor.drop(large)
    visitor.says("5,200 × 3,900 pixels. Each side may have 15 to 4,999 pixels.")
    visitor.button("add it scaled down").click()
    visitor.wait_for_tiles(2)
    visitor.says("Scaled down; the original has more pixels than allowed")
    visitor.drop(large, on=2)
    visitor.button("Go on with it scaled down", "dialog").click()
    visitor.says(f"Yes. {name} holds this very picture.")
    visitor.page.keyboard.press("Escape")
    visitor.paste(large)
    trouble = visitor.page.locator(".trouble")
    trouble.wait_for()
    assert "/image" not in trouble.inner_text()
    assert visitor.button("Try again").count() == 0
    visitor.button("Go on with it scaled down").click()
    visitor.says("identical")
    assert visitor.refused == [422, 422, 422]


def test_reasons_are_in_the_readers_language(visit: Visit) -> None:
    visitor = visit(locale="zh-CN")
    name = visitor.library()
    visitor.open(f"l/{name}")
    visitor.drop(png(Image.new("RGB", (8, 8))), b"", jpeg(CAT)[:3000], b"<svg/>")
    visitor.page.wait_for_function("() => document.querySelectorAll('.line.refused').length === 4")
    said = visitor.page.locator(".drawer .lines small").all_inner_texts()
    assert sorted(said) == [
        "不是可读取的图片 · 不是以下格式：BMP, GIF, JPEG, PNG, WEBP。",
        "不是可读取的图片 · 文件不完整，部分内容缺失。",
        "图片过大或过小 · 8 × 8 像素；每边须为 15 至 4,999 像素。",
        "文件为空",
    ]


def test_a_used_link_signs_nobody_out(visit: Visit) -> None:
    visitor = visit(signed_in=False)
    link = visitor.link()
    visitor.page.goto(link)
    heading = visitor.page.get_by_role("heading", name="Libraries", level=1)
    heading.wait_for()
    other = visitor.page.context.new_page()
    other.goto(link)
    other.get_by_text("You are signed in already.").wait_for()
    other.get_by_role("heading", name="Libraries").wait_for()
    visitor.page.reload()
    heading.wait_for()


def test_what_a_wrong_key_and_an_old_link_say_is_for_who_signs_in(visit: Visit) -> None:
    visitor = visit(signed_in=False)
    page = visitor.page
    visitor.open()
    port = visitor.url.rpartition(":")[2]
    visitor.says(f".venv/bin/lookalike console --data DATA_FOLDER --url http://127.0.0.1:{port}")
    page.get_by_label("API key").fill("nobody")
    page.get_by_label("Secret key").fill("wrong")
    visitor.button("Sign in").click()
    visitor.says("Look whether both keys are of one application")
    assert "Basic" not in page.locator("body").inner_text()
    visitor.button("中文").click()
    visitor.says("请检查两个密钥是否完整")
    assert "HTTP" not in page.locator("body").inner_text()


def test_after_an_outage_everything_goes_on_by_itself(visit: Visit, tmp_path: Path) -> None:
    """The grid stays, the queue waits, the banner says so; when the service is back, nobody has to do anything."""
    server = LiveServer(tmp_path / "data")
    visitor = visit(at=(server, server.keys("operator")))
    page = visitor.page
    name = visitor.library(png(CAT), png(cropped(CAT)))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(2)
    visitor.says("2 pictures")
    server.kill()
    visitor.drop(png(CUP), png(ROCKET))
    visitor.says("The service cannot be reached")
    visitor.says("Waits for the connection: 2 to go")
    visitor.button("Deleted").click()
    page.locator(".trouble").wait_for()
    visitor.button("In the library").click()
    server = LiveServer(tmp_path / "data", "--port", server.url.rpartition(":")[2])
    visitor.wait_for_tiles(4)
    page.locator(".banner").wait_for(state="detached")
    assert page.locator(".trouble").count() == 0
    assert totals(visitor) == ["2", "0", "0", "0"]
    server.stop()


def test_pictures_come_back_with_the_session(visit: Visit) -> None:
    """A picture that does not come says that the session is over; after signing in, it comes."""
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT), png(CUP))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(2)
    page.context.clear_cookies()
    page.get_by_role("option", name="picture 0").click()
    visitor.says("Sign in again")
    page.get_by_label("API key").fill(visitor.keys.access_key)
    page.get_by_label("Secret key").fill(visitor.keys.secret_key)
    visitor.button("Sign in", "dialog").click()
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")


def test_two_that_are_selected_are_compared_by_a_button(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT), png(cropped(CAT)), png(CUP))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    page.get_by_role("option", name="picture 0").focus()
    page.keyboard.press("x")
    page.locator(".bar").wait_for()
    assert visitor.button("Compare", ".bar").count() == 0
    page.keyboard.press("Shift+ArrowRight")
    visitor.button("Compare", ".bar").click()
    visitor.says("One is a copy of the other")


def test_what_was_just_added_is_seen_first_and_briefs_are_found(visit: Visit) -> None:
    """Pictures are listed by id: those just added stand before them, and go with their pictures."""
    visitor = visit()
    page = visitor.page
    name = visitor.library(png(CAT), png(CUP), briefs=["A striped cat", "a cup"])
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(2)
    visitor.drop(png(ROCKET))
    visitor.wait_for_tiles(3)
    fresh = page.get_by_role("region", name="Just added").get_by_role("button")
    fresh.wait_for()
    assert fresh.locator("img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    assert visitor.hindrances() == []
    fresh.click()
    page.get_by_role("heading", name="file-0.png").wait_for()
    visitor.button("Delete", "dialog").click()
    visitor.wait_for_tiles(2)
    assert fresh.count() == 0
    page.get_by_role("searchbox").fill("STRIPED")
    page.keyboard.press("Enter")
    visitor.says("1 picture with this name")
    visitor.button("Open A striped cat").click()
    page.get_by_role("heading", name="A striped cat").wait_for()
    page.keyboard.press("Escape")
    visitor.button("Deleted").click()
    visitor.says("Can be restored for 7 days")


def test_the_page_says_what_a_picture_may_be(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    visitor.says("BMP, GIF, JPEG, PNG, WEBP; up to 33.5 MB; each side 15 to 4,999 pixels")


def test_the_whole_navigation_is_seen_on_a_small_screen(visit: Visit) -> None:
    visitor = visit(viewport={"width": 320, "height": 640})
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}")
    edges = visitor.page.locator(".top nav a").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().right)"
    )
    assert len(edges) == 5
    assert max(edges) <= 320
    assert visitor.page.locator(".top nav").evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
