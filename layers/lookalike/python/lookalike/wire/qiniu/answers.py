"""Qiniu's answers."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.domain.exact_json import quoted
from lookalike.domain.library import Library
from lookalike.domain.picture import Metadata, Picture
from lookalike.domain.search import Match
from lookalike.observability import count
from lookalike.ports import Ports
from lookalike.service.groups import name_of
from lookalike.wire.qiniu import label_codec, limits


def metadata_json(metadata: Metadata) -> str:
    """What is said of a picture. One that another vendor's client added has a brief instead of a desc."""
    return f'"label":{label_codec.shown(metadata.label)},"desc":{metadata.desc or quoted(metadata.brief)}'


def listed_picture(library: Library, picture: Picture) -> str:
    return f'{{"id":{quoted(name_of(library, picture))},"value":{{{metadata_json(picture.metadata)}}}}}'


def match_json(library: Library, match: Match, several: bool) -> str:
    picture = match.candidate
    where = f',"group":{quoted(library.name)}' if several else ""
    return (
        f'{{"id":{quoted(name_of(library, picture))},{metadata_json(picture.metadata)},"score":{match.score!r}{where}}}'
    )


def fitting(ports: Ports, operation: str, results: Iterable[str]) -> tuple[list[str], bool]:
    """As many of the results as one answer has room for, and whether some were left out, which is counted."""
    shown: list[str] = []
    room = limits.ROOM
    for result in results:
        room -= _carried(result) + 1
        if room < 0:
            count(ports.settings, {"operation": operation}, {"AnswersCut": 1})
            return shown, True
        shown.append(result)
    return shown, False


def _carried(text: str) -> int:
    """Bytes that an answer's text takes as a string in an event, where Lambda's runtime writes more than ASCII as it is,
    but for the two separators of lines that JavaScript does not take."""
    escaped = text.count('"') + text.count("\\") + 3 * (text.count("\u2028") + text.count("\u2029"))
    return len(text.encode()) + escaped
