"""What the console's files may weigh, and what they may not do. Needs no browser."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from lookalike.wire.native import problems
from tests.support.console_words import words

STATIC = Path(__file__).resolve().parents[2] / "functions/console/static"
OURS = sorted(
    path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts
)

#: Lines of all files that are written here, of one, and of the stylesheet, which is one so that a page is not drawn twice.
MAX_LINES, MAX_FILE_LINES, MAX_STYLE_LINES = 3600, 260, 400

#: Bytes of everything, compressed: what somebody loads who opens every page in both languages.
MAX_BYTES = 90_000


def code() -> str:
    return "".join(path.read_text() for path in OURS if path.suffix == ".js" and path.parent.name != "i18n")


def test_no_file_is_long_nor_are_all_together() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in OURS}
    assert lines.pop("console.css") <= MAX_STYLE_LINES
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}
    assert sum(lines.values()) <= MAX_LINES


def test_everything_together_is_light() -> None:
    weight = sum(
        len(gzip.compress(path.read_bytes(), 9))
        for path in STATIC.rglob("*")
        if path.suffix in (".js", ".css", ".html")
    )
    assert weight <= MAX_BYTES, weight


def test_both_languages_say_the_same_things() -> None:
    english, chinese = words("en"), words("zh")
    assert english.keys() == chinese.keys()
    values = re.compile(r"\{\w+\}")
    for key, said in english.items():
        for form in chinese[key].split("|"):
            assert set(values.findall(form)) <= set(values.findall(said)), key
    assert all(text.strip() for text in [*english.values(), *chinese.values()])


def test_every_word_is_there_and_none_is_left_over() -> None:
    said, text = words("en"), code()
    keys = set(re.findall(r"\bt\('([a-z0-9_.]+)'", text)) | set(re.findall(r"\? '([a-z]+\.[a-z]+)' : '[a-z.]+'", text))
    prefixes = tuple(set(re.findall(r"\b(?:t|wordsOr)\(`([a-z_.]+)\$\{", text)))
    assert keys - said.keys() == set()
    left_over = {key for key in said if key not in keys and not key.startswith(prefixes) and f"'{key}'" not in text}
    assert left_over == set()


def test_every_problem_of_the_api_has_words() -> None:
    codes = {f"problem.{kind.code}" for kind in problems.PROBLEMS.values()}
    assert codes - words("zh").keys() == set()


@pytest.mark.parametrize(
    "way",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "dangerouslySetInnerHTML",
        "document.write",
        "eval(",
        "new Function",
    ],
)
def test_no_text_becomes_markup(way: str) -> None:
    assert way not in code()


def test_no_text_for_readers_stands_in_the_code() -> None:
    # Between tags, and in the attributes that people read or hear.
    views = [path for path in OURS if path.parent.name in ("views", "parts") or path.name == "main.js"]
    for path in views:
        markup = "\n".join(re.findall(r"html`((?:[^`\\]|\\.)*)", path.read_text()))
        shown = re.findall(r">\s*([A-Za-z][a-z]+(?: [a-z]+)+)\s*<", markup)
        shown += re.findall(r"(?:aria-label|title|placeholder|alt)=\"([A-Za-z][^\"]+)\"", markup)
        assert [text for text in shown if text not in ("lookalike console", "lookalike keys change")] == [], path.name


def test_the_vendored_file_is_the_published_one() -> None:
    assert (STATIC / "vendor/htm-preact.js").stat().st_size == 13194
    licences = (STATIC / "vendor/LICENSES").read_text()
    assert "Apache License" in licences
    assert "The MIT License" in licences
