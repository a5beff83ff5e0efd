"""The tour of the documentation can be taken again."""

from __future__ import annotations

from pathlib import Path

from tests.browser import tour


def test_every_page_is_taken(tmp_path: Path) -> None:
    tour.take(tmp_path, [("zh-CN", "dark")])
    taken = {path.name for path in tmp_path.iterdir()}
    pages = ("application", "library", "picture", "search", "compare", "uploads", "duplicates")
    assert taken == {f"{name}-zh-CN-dark.webp" for name in pages}
