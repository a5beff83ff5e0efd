"""Near-duplicates in a real browser: found, looked at, kept and dismissed, and all of it undone."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.scenes import CAT, CUP
from tests.browser.visitor import Visitor, png

Visit = Callable[..., Visitor]


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
