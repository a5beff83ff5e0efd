"""Near-duplicates in a real browser: found, looked at, kept and dismissed, and all of it undone."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.browser.test_journeys import CAT, CUP, ROCKET, cropped
from tests.browser.visitor import Visitor, png

Visit = Callable[..., Visitor]


def test_copies_are_found_kept_and_dismissed(visit: Visit) -> None:
    """Look for them, keep one, undo it; keep all, undo it; and look at the deleted tab."""
    visitor = visit()
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


def test_a_program_started_a_job_and_an_operator_pauses_it(visit: Visit) -> None:
    visitor = visit()
    name = visitor.library(png(CAT))
    visitor.api("PUT", "/jobs/nightly", json={"kind": "duplicates", "library": name})
    visitor.open("jobs")
    visitor.says(f"Near-duplicates: {name}")
    visitor.page.wait_for_function("() => document.body.innerText.includes('done')")
    assert visitor.hindrances() == []


def test_the_pages_read_well_in_chinese_and_on_a_phone(visit: Visit) -> None:
    visitor = visit(locale="zh-CN", viewport={"width": 320, "height": 700}, color_scheme="dark")
    name = visitor.library(png(CUP), png(CUP))
    visitor.open(f"l/{name}/duplicates")
    visitor.button("开始查找").click()
    visitor.page.locator(".cluster").wait_for()
    visitor.says("同一图片 · 1")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert visitor.hindrances() == []
