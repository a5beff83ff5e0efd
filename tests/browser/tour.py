"""Take a screenshot of every page of the console: ``python -m tests.browser.tour FOLDER [--all]``.

Those of the documentation are in English and light; ``--all`` takes each in both languages and both themes, for whoever
looks whether a change looks right.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.browser.visitor import Visitor, png
from tests.support import chromium, photographs
from tests.support.live import LiveServer

LANGUAGES, THEMES = ("en", "zh-CN"), ("light", "dark")

#: Width and height of a screenshot, in pixels.
SIZE = (1280, 860)

SCENES = (
    "chelsea.png",
    "coffee.png",
    "china.jpg",
    "rocket.jpg",
    "flower.jpg",
    "astronaut.png",
    "camera.png",
    "motorcycle_left.png",
)


def seeded(visitor: Visitor) -> str:
    """Make a library of photographs; its name."""
    pictures = [photographs.photograph(name) for name in SCENES]
    return visitor.library(*map(png, pictures), briefs=[Path(name).stem for name in SCENES], name="shop")


def edited_copy() -> bytes:
    """Return a cropped copy of a photograph, part of which was painted over."""
    picture = photographs.cropped(photographs.photograph("chelsea.png"), 0.8)
    width, height = picture.size
    ImageDraw.Draw(picture).rectangle((width * 0.7, 0, width * 0.95, height * 0.3), fill=(30, 90, 200))
    return png(picture)


def walk(visitor: Visitor, shot: Callable[[str], None]) -> None:
    """Go through every page, and call ``shot`` with its name when it is there."""
    page, name = visitor.page, "shop"
    visitor.open()
    page.locator(".cards img").first.wait_for()
    shot("application")
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(len(SCENES))
    shot("library")
    page.get_by_role("option", name="coffee").click()
    page.locator("dialog .edit").wait_for()
    shot("picture")
    page.keyboard.press("Escape")
    visitor.paste(edited_copy())
    page.locator(".result polygon").first.wait_for()
    shot("search")
    page.locator(".result .row:last-child button").first.click()
    page.locator(".verdicts").wait_for()
    page.locator(".tabs button").nth(1).click()
    shot("compare")
    visitor.open(f"l/{name}")
    visitor.wait_for_tiles(len(SCENES))
    visitor.drop(edited_copy(), png(Image.new("RGB", (8, 8))), b"no picture")
    page.wait_for_function("() => document.querySelectorAll('.line.added, .line.refused').length === 3")
    visitor.wait_for_tiles(len(SCENES) + 1)
    shot("uploads")
    visitor.open(f"l/{name}/duplicates")
    page.locator(".head button.main").click()
    page.locator(".tabs button").nth(2).click()
    page.locator(".copies img").nth(1).wait_for()
    shot("duplicates")


def _shot(visitor: Visitor, folder: Path, suffix: str, name: str) -> None:
    """Save the page as WebP, a sixth of the size of PNG."""
    with tempfile.TemporaryDirectory() as place:
        taken = Path(place) / "page.png"
        visitor.shot(taken)
        Image.open(taken).convert("RGB").save(folder / f"{name}{suffix}.webp", quality=88, method=6)


def take(folder: Path, looks: Sequence[tuple[str, str]]) -> None:
    """Take screenshots of every page in these languages and themes."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZE
    for language, theme in looks:
        with tempfile.TemporaryDirectory() as place, chromium.running() as browser:
            server = LiveServer(Path(place) / "data")
            options: dict[str, Any] = {
                "locale": language,
                "color_scheme": theme,
                "viewport": {"width": width, "height": height},
            }
            visitor = Visitor.of(browser.new_context(**options), server.url, server.keys("operator"))
            seeded(visitor)
            visitor.sign_in_by_link()
            suffix = "" if (language, theme) == ("en", "light") else f"-{language}-{theme}"
            walk(visitor, partial(_shot, visitor, folder, suffix))
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="in both languages and both themes")
    chosen = parser.parse_args()
    take(chosen.folder, [(one, other) for one in LANGUAGES for other in THEMES] if chosen.all else [("en", "light")])
