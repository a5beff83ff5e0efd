"""What an operator does in the console, wherever the service runs: each goes through pages of a signed-in visitor."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.browser.scenes import CAT, CUP, ROCKET, cropped, stranger
from tests.browser.visitor import Visitor, png

SHOW_AS_CODE = re.compile("Show as code|查看代码")


def first_start(visitor: Visitor) -> None:
    """A new library: drop three pictures, find a cropped copy by paste, edit, compare, delete, undo."""
    page = visitor.page
    assert "once" not in page.url
    visitor.button("New library").click()
    name = f"first-{uuid.uuid4().hex[:8]}"
    page.get_by_label("Name").fill(name)
    visitor.button("Make library").click()
    visitor.says("No pictures yet")

    visitor.drop(png(CAT), png(CUP), png(ROCKET))
    visitor.says("3 files done")
    visitor.wait_for_tiles(3)
    visitor.button("Clear what is done").click()

    visitor.paste(png(cropped(CAT)))
    visitor.says("proved")
    assert re.fullmatch(r"0\.\d{4}", page.locator(".score").first.inner_text()), "1 is the identical picture's"
    assert page.locator(".result polygon.quad").count() == 1
    assert page.locator(".crop polygon.quad").count() == 1
    assert "100\xa0% of your picture lies on it" in page.locator(".result").inner_text()

    page.locator(".result").get_by_role("button", name="Open").click()
    page.get_by_label("Brief").fill("a cat")
    visitor.button("Save", "dialog").click()
    visitor.says("Saved")
    page.keyboard.press("Escape")

    visitor.button("Compare", ".result").click()
    visitor.says("One is a copy of the other")
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.upper img')).transform.startsWith('matrix(')"
    )
    page.keyboard.press("b")
    page.wait_for_function("() => document.querySelector('.upper').style.opacity === '0'")
    for way in ("Wipe", "Onion skin", "Side by side"):
        visitor.button(way).click()

    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    page.get_by_role("option", name="a cat").click()
    visitor.button("Delete", "dialog").click()
    visitor.wait_for_tiles(2)
    visitor.button("Undo").click()
    visitor.wait_for_tiles(3)


def deleted_pictures_are_restored(visitor: Visitor) -> None:
    """See what was deleted, and bring it back."""
    name = visitor.library(png(CAT), png(CUP))
    visitor.api("DELETE", f"/libraries/{name}/pictures/p0")
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    visitor.button("Deleted").click()
    visitor.page.get_by_role("option", name="picture 0").click()
    assert visitor.page.locator("dialog img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    visitor.button("Restore", "dialog").click()
    visitor.says("Nothing is deleted")
    visitor.button("In the library").click()
    visitor.wait_for_tiles(2)


def is_this_one_in(visitor: Visitor) -> None:
    """Ask it of a picture that is in, of a copy of it, and of another."""
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(1)
    visitor.drop(png(CAT), on=2)
    visitor.says(f"Yes. {name} holds this very picture.")
    visitor.page.keyboard.press("Escape")
    visitor.drop(png(cropped(CAT)), on=2)
    visitor.says("A copy of it is in: picture 0 (score ")
    assert visitor.page.locator("dialog footer .main").inner_text() == "Open it"
    visitor.button("Add it all the same", "dialog").click()
    visitor.wait_for_tiles(2)
    visitor.drop(png(stranger()), on=2)
    visitor.says(f"No. The nearest in {name} has score ")
    assert visitor.page.locator("dialog footer .main").inner_text() == "Add to the library"


def nothing_is_found(visitor: Visitor) -> None:
    """Search for what is not there, and look at the nearest."""
    name = visitor.library(png(CAT))
    visitor.open(f"l/{name}/search")
    visitor.says("Which picture?")
    visitor.paste(png(stranger()))
    visitor.says("Nothing found")
    visitor.says("The nearest picture has score ")
    visitor.button("Show it anyway").click()
    visitor.says("near")


def stored_picture_and_a_part(visitor: Visitor) -> None:
    """Search by a stored picture, by a part of it, and by all of it again."""
    name = visitor.library(png(CAT), png(cropped(CAT)), png(ROCKET))
    visitor.open(f"l/{name}")
    visitor.page.get_by_role("option", name="picture 0").click()
    visitor.button("Find similar", "dialog").click()
    visitor.says("identical")
    visitor.says("proved")
    area = visitor.page.locator(".area").bounding_box()
    with visitor.page.expect_request("**/search") as asked:
        mouse = visitor.page.mouse
        mouse.move(area["x"] + area["width"] * 0.1, area["y"] + area["height"] * 0.2)
        mouse.down()
        mouse.move(area["x"] + area["width"] * 0.7, area["y"] + area["height"] * 0.9)
        mouse.up()
    assert json.loads(asked.value.post_data)["box"] == pytest.approx([0.1, 0.2, 0.7, 0.9], abs=0.02)
    visitor.button("Whole picture").click()
    visitor.page.reload()
    visitor.says("identical")


def copies_are_found_kept_and_dismissed(visitor: Visitor) -> None:
    """Look for them, keep one, undo it; keep all, undo it; and look at the deleted tab."""
    page = visitor.page
    half = CAT.resize((CAT.width // 2, CAT.height // 2))
    hostile = "<img src=x onerror=alert(1)>"
    name = visitor.library(
        png(CAT), png(half), png(cropped(CAT)), png(CUP), png(CUP), png(ROCKET), briefs=["cat", hostile, "crop", "cup"]
    )
    visitor.open(f"l/{name}")
    page.get_by_role("link", name="Near-duplicates").click()
    visitor.says("Not looked for yet")
    assert visitor.hindrances() == []
    visitor.button("Look for them").click()
    clusters = page.locator(".cluster")
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 2")
    visitor.says("Same picture · 2")
    visitor.says(f"{CAT.width} × {CAT.height}")
    assert hostile in page.locator(".copies").first.inner_text() + page.locator(".copies").last.inner_text()
    ratios = page.locator(".copies img").evaluate_all("(all) => all.map((one) => getComputedStyle(one).objectFit)")
    assert set(ratios) == {"contain"}
    assert visitor.hindrances() == []

    cats = clusters.filter(has_text="crop")
    assert cats.locator("figure").count() == 3
    cats.get_by_role("button", name=re.compile("^Keep this, delete the other.*: cat$")).click()
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 1")
    visitor.button("Undo").click()
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 2")

    assert page.get_by_role("link", name=name).first.is_visible()
    cups = clusters.filter(has_text="cup")
    cups.get_by_role("button", name="Keep all: not the same").click()
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 1")
    visitor.says("They are not shown together again")
    visitor.says("Same picture · 1")
    visitor.button("Undo").last.click()
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 2")

    cats.get_by_text("Why").click()
    visitor.says("of what could be compared agrees")
    said = cats.locator(".reasons li").all_inner_texts()
    assert not [line for line in said if re.search(r"\bp[0-9]\b", line)], said
    cats.get_by_role("button", name=re.compile("^Keep this, delete the other.*: cat$")).click()
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 1")
    visitor.button("Identical · 1").click()
    visitor.says("The same pixels")
    page.wait_for_function("() => document.querySelectorAll('.cluster').length === 1")
    visitor.open(f"l/{name}")
    visitor.button("Deleted").click()
    visitor.wait_for_tiles(2)


def tab_to(page: Any, what: str) -> None:
    """Press Tab until an element that meets the selector has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(what) => document.activeElement.matches(what)", what):
            return
    pytest.fail(f"Tab does not come to {what}")


def role_in_focus(page: Any) -> str:
    """Return the role of what has the focus."""
    return str(page.evaluate("document.activeElement.getAttribute('role')"))


def keyboard_signs_in_looks_and_edits(visitor: Visitor) -> None:
    """Come without a session, and leave the mouse alone."""
    page, press = visitor.page, visitor.page.keyboard.press
    visitor.open()
    page.locator("[name=access_key]:focus").wait_for()
    page.keyboard.type(visitor.keys.access_key)
    press("Tab")
    page.keyboard.type(visitor.keys.secret_key)
    press("Enter")
    visitor.says("Libraries")
    name = visitor.library(png(CAT), png(cropped(CAT)), png(CUP))
    page.reload()
    page.get_by_role("link", name=name).wait_for()
    tab_to(page, f"a[href$='/{name}']")
    press("Enter")
    visitor.wait_for_tiles(3)
    tab_to(page, "[role=option]")
    press("ArrowRight")
    press("ArrowLeft")
    press(" ")
    page.locator("dialog .edit").wait_for()
    press("]")
    press("[")
    press("e")
    page.keyboard.type(" of a cat")
    tab_to(page, ".edit button.main")
    press("Enter")
    visitor.says("Saved")
    press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert role_in_focus(page) == "option"


def keyboard_selects_compares_deletes_and_undoes(visitor: Visitor) -> None:
    """Leave the mouse alone in a library."""
    page, press = visitor.page, visitor.page.keyboard.press
    name = visitor.library(png(CAT), png(cropped(CAT)), png(CUP))
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    page.get_by_role("option", name="picture 1").focus()
    press("Home")
    press("x")
    press("Shift+ArrowRight")
    page.locator(".bar").wait_for()
    press("c")
    page.locator(".verdicts").wait_for()
    press("b")
    page.go_back()
    visitor.wait_for_tiles(3)
    page.get_by_role("option").first.focus()
    press("Delete")
    visitor.wait_for_tiles(2)
    page.wait_for_function("() => document.activeElement.getAttribute('role') === 'option'")
    visitor.button("Undo").wait_for()
    tab_to(page, ".toast .link")
    press("Enter")
    visitor.wait_for_tiles(3)
    press("?")
    page.locator("dialog .keys").wait_for()
    press("u")  # acts below the dialog, so not at all
    press("Escape")
    press("/")
    assert page.evaluate("document.activeElement.type") == "search"


def every_page_hinders_nobody(visitor: Visitor) -> None:
    """No serious finding of axe, nothing beyond the edge of the screen, and targets that a finger meets."""
    page = visitor.page
    name = visitor.library(png(CAT), png(cropped(CAT)), png(ROCKET))

    def check(where: str) -> None:
        assert visitor.hindrances() == [], where
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, where
        small = page.evaluate(
            "[...document.querySelectorAll('button, select, summary, .button')].filter((one) => one.offsetParent)"
            ".filter((one) => one.offsetHeight < 24 || one.offsetWidth < 24).map((one) => one.outerHTML.slice(0, 120))"
        )
        assert small == [], where

    visitor.open()
    page.locator(".cards img").first.wait_for()
    check("application")
    page.locator(".head button.main").click()
    page.locator("dialog input").first.wait_for()
    check("new library")
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(3)
    check("library")
    page.get_by_role("option").first.focus()
    page.keyboard.press("x")
    page.locator(".bar").wait_for()
    check("selected")
    page.get_by_role("option", name="picture 0").click()
    page.locator("dialog .edit").wait_for()
    check("picture")
    page.locator("dialog footer button").last.click()
    page.locator(".result polygon").first.wait_for()
    check("search")
    page.locator(".result .row:last-child button").nth(2).click()
    page.locator(".verdicts").wait_for()
    check("compare")
    page.keyboard.press("?")
    page.locator("dialog .keys").wait_for()
    check("keys")
    page.keyboard.press("Escape")
    page.get_by_role("button", name=SHOW_AS_CODE).first.click()
    page.locator("dialog.code pre").wait_for()
    check("code")
    visitor.open("jobs")
    page.locator(".empty, .jobs").first.wait_for()
    check("jobs")
    visitor.open("index")
    page.locator(".health").wait_for()
    check("index")


#: What an operator wishes of a console, by a visitor who is signed in.
WISHES: Sequence[Callable[[Visitor], None]] = (
    first_start,
    deleted_pictures_are_restored,
    is_this_one_in,
    nothing_is_found,
    stored_picture_and_a_part,
    keyboard_selects_compares_deletes_and_undoes,
    copies_are_found_kept_and_dismissed,
    every_page_hinders_nobody,
)
