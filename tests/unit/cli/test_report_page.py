"""Pages of reports, and their thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.cli.report_page import ReportPage, printable
from lookalike.errors import Unavailable
from tests.support.photographs import jpeg, photograph


def missing() -> bytes:
    raise FileNotFoundError


def gone() -> bytes:
    raise Unavailable("the bucket")


def test_a_thumbnail_is_made_once(tmp_path: Path) -> None:
    page = ReportPage(tmp_path / "report", 100)
    address = page.thumbnail("a/b", lambda: jpeg(photograph("chelsea.png")))
    assert address is not None
    assert (page.folder / address).read_bytes()[8:12] == b"WEBP"
    assert page.thumbnail("a/b", missing) == address


@pytest.mark.parametrize("read", [missing, gone, lambda: None, lambda: b"no picture"])
def test_what_cannot_be_read_has_none(tmp_path: Path, read: Callable[[], bytes | None]) -> None:
    page = ReportPage(tmp_path, 100)
    assert page.thumbnail("a/b", read) is None


def test_a_page_keeps_the_thumbnails_that_it_shows(tmp_path: Path) -> None:
    before = ReportPage(tmp_path, 100)
    addresses = [before.thumbnail(key, lambda: jpeg(photograph("chelsea.png"))) for key in "ab"]
    before.write(title="t", summary="", body="", style="")
    now = ReportPage(tmp_path, 100)
    assert now.thumbnail("b", missing) == addresses[1]
    now.write(title="t", summary="", body="", style="")
    assert [f"thumbnails/{file.name}" for file in (tmp_path / "thumbnails").iterdir()] == addresses[1:]


def test_a_title_is_text(tmp_path: Path) -> None:
    written = ReportPage(tmp_path, 100).write(title="<b>&", summary="<p>s", body="<i>b", style="x{}", tag="zh")
    text = written.read_text()
    assert "<title>&lt;b&gt;&amp;</title>" in text
    assert '<html lang="zh">' in text


def test_half_characters_are_escaped() -> None:
    assert printable("a\ud800\nb é") == "a\\ud800\\nb é"
