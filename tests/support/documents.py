"""The README and the pages of ``docs``: their text, their fenced blocks, their links and anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page. ``language`` is empty where the fence names none."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"


@lru_cache(1)
def pages() -> Mapping[str, str]:
    """The text of each page, by its path from the root."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


@lru_cache(1)
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    return tuple(
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["text"])
        for page, text in pages().items()
        for found in _FENCE.finditer(text)
    )


def block(language: str, containing: str) -> str:
    """The one block of that language with these words in it."""
    found = [one for one in blocks() if one.language == language and containing in one.text]
    assert len(found) == 1, f"{len(found)} blocks of {language} contain {containing!r}: {', '.join(map(str, found))}"
    return found[0].text


def command_lines() -> Iterator[str]:
    """The command lines of the ``sh`` blocks, without their remarks."""
    for one in blocks():
        if one.language == "sh":
            yield from (line.partition("   #")[0].strip() for line in one.text.splitlines() if line.strip())


def prose(page: str) -> str:
    """The page without its fenced blocks and comments, which keep their lines."""
    return _COMMENT.sub(_blank, _FENCE.sub(_blank, pages()[page]))


def links_of(text: str) -> Iterator[str]:
    """The targets of links and images in a page's text."""
    plain = _CODE.sub(_blank, _COMMENT.sub(_blank, _FENCE.sub(_blank, text)))
    yield from (found["target"] for found in _LINK.finditer(plain))


def anchors(page: str) -> frozenset[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    return frozenset(_anchor(found["title"]) for found in _HEADING.finditer(prose(page)))


def code_spans(page: str) -> Iterator[str]:
    """What stands in backticks within a line of the page."""
    for line in prose(page).splitlines():
        yield from (found.group().strip("`").strip() for found in _CODE.finditer(line))


def table(page: str, header: str) -> list[list[str]]:
    """The rows of the page's table whose header begins with these cells."""
    text = pages()[page]
    lines = text[text.index(f"| {header}") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]


def _anchor(title: str) -> str:
    plain = re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower())
    return plain.replace(" ", "-")


def _blank(found: re.Match[str]) -> str:
    return "\n" * found.group().count("\n")
