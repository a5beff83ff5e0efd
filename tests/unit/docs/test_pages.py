"""The README and the pages: readers, lengths, links, paths, and what is written by a script."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from docs import quality, settings
from tests.support import documents
from tests.support.documents import ROOT

PAGES = list(documents.pages())

#: Lines of the README, and columns of a line of prose.
MAX_README, MAX_COLUMNS = 150, 120

#: A path as pages write it: from the root, with a folder that is there.
_PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|yaml|md|json)")
_FOLDERS = ("docs", "events", "functions", "layers", "tests", ".ci", ".github")

#: Rooms of the package, whose modules pages name without the way there.
PACKAGE = ROOT / "layers/lookalike/python/lookalike"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_the_first_line_says_who_reads_it_and_what_they_can_do_then(page: str) -> None:
    title, first = re.split(r"\n\n+", documents.pages()[page])[:2]
    assert title.startswith("# ")
    assert re.fullmatch(r"For .+\. After this page .+\.", " ".join(first.split())), first


def test_the_readme_is_a_page() -> None:
    assert len(documents.pages()["README.md"].splitlines()) <= MAX_README


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_prose_are_short(page: str) -> None:
    lines = documents.prose(page).splitlines()
    long = [line for line in lines if len(line) > MAX_COLUMNS and not line.startswith("|") and "](" not in line]
    assert not long


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = documents.pages().get(page) or (ROOT / page).read_text()
    wrong = []
    for target in documents.links_of(text):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        known = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else None
        if known is None or not file.exists() or (anchor and anchor not in documents.anchors(known)):
            wrong.append(target)
    assert not wrong


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/") and page != "docs/README.md"])
def test_the_list_of_pages_has_it(page: str) -> None:
    listing = "docs/decisions/README.md" if page.startswith("docs/decisions/0") else "docs/README.md"
    listed = {target.partition("#")[0] for target in documents.links_of(documents.pages()[listing])}
    assert (ROOT / page).relative_to((ROOT / listing).parent).as_posix() in listed


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_are_named_are_there(page: str) -> None:
    named = [span for span in documents.code_spans(page) if _PATH.fullmatch(span)]
    there = [
        span for span in named if span.partition("/")[0] in _FOLDERS or (PACKAGE / span.partition("/")[0]).is_dir()
    ]
    assert not [span for span in there if not (ROOT / span).exists() and not (PACKAGE / span).exists()]


def test_tables_of_the_page_of_quality_are_the_stored_figures() -> None:
    assert quality.PAGE.read_text() == quality.page(), "run .venv/bin/python docs/quality.py"


def test_the_page_of_settings_is_written_from_them() -> None:
    assert settings.PAGE.read_text() == settings.page(), "run .venv/bin/python docs/settings.py"
