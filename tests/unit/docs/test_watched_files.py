"""The files of a watched folder that docs/operate.md shows are such as uploads are read from."""

from __future__ import annotations

import re

from lookalike.service.upload_metadata import LAYOUT, MAX_BYTES, MAX_TAGS
from tests.support.documents import block, prose


def test_documented_files_lie_where_they_are_looked_for() -> None:
    picture, metadata = block("", "/srv/pictures/287990385/similar/shoes/red.jpg").splitlines()
    place = LAYOUT.fullmatch(picture.replace("/srv/pictures/", "uploads/"))
    assert place is not None
    assert place.groups() == ("287990385", "similar", "shoes/red.jpg")
    file, _, said = metadata.partition(" ")
    assert file == f"{picture}.json"
    assert re.findall(r'"(\w+)":', said) == ["brief", "tags", "label", "desc"]


def test_documented_limits_are_those_of_uploads() -> None:
    said = "A brief may have {brief} bytes, a label {label}, a desc {desc}; groups take up to {most} tags, {tags} bytes in all."
    assert said.format(**MAX_BYTES, most=MAX_TAGS) in " ".join(prose("docs/operate.md").split())
