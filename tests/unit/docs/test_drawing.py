"""The drawing and the table of docs/architecture.md are those of the architecture test."""

from __future__ import annotations

import re

from tests.architecture.test_rooms import MAY_IMPORT, NOT_DEPLOYED
from tests.support import documents
from tests.support.documents import block

PAGE = "docs/architecture.md"

_LABEL = re.compile(r'\["[^"]*"\]')


def _room(name: str) -> str:
    return name if name == "functions" else f"lookalike.{name}"


def arrows() -> set[tuple[str, str]]:
    """Who imports whom in the drawing."""
    found = set()
    for line in _LABEL.sub("", block("mermaid", "functions/*/app.py")).splitlines()[1:]:
        importers, imported = line.split("-->")
        found |= {(a.strip(), b.strip()) for a in importers.split("&") for b in imported.split("&")}
    return found


def test_every_arrow_is_an_import() -> None:
    assert len(arrows()) > 20
    assert not {(a, b) for a, b in arrows() if _room(b) not in MAY_IMPORT[_room(a)]}


def test_every_room_is_drawn_or_shared() -> None:
    drawn = {_room(name) for arrow in arrows() for name in arrow}
    shared = {"errors", "observability", "once", "settings", "stores", "__main__"}
    assert drawn == MAY_IMPORT.keys() - {_room(name) for name in shared} - {"lookalike"}


def test_the_table_has_every_room() -> None:
    rows = documents.table(PAGE, "room | what is in it | rule")
    rooms = {_room(name) for row in rows for name in re.findall(r"`([\w.]+)`", row[0])}
    assert rooms == MAY_IMPORT.keys() - {"lookalike", "lookalike.__main__"}


def test_what_is_not_deployed_is_said() -> None:
    (line,) = [part for part in documents.prose(PAGE).split("\n\n") if "deployed layer leaves out" in part]
    named = {_room(name.rstrip("/").replace("/", ".")) for name in re.findall(r"`([\w/]+)`", line.partition(".")[0])}
    assert named == NOT_DEPLOYED
