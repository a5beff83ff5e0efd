"""Pictures in Qiniu's answers, and the limit of an answer's size."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.domain.exact_json import quoted
from lookalike.domain.library import Library
from lookalike.domain.picture import Metadata, Picture
from lookalike.domain.search import Match
from lookalike.observability import count
from lookalike.ports import Ports
from lookalike.service.groups import name_of
from lookalike.wire import label_codec
from lookalike.wire.qiniu import limits
from lookalike.wire.qiniu.json_text import json_object


def metadata_members(metadata: Metadata) -> dict[str, str]:
    """A picture's metadata. A picture that another vendor's client added has a brief instead of a desc."""
    return {"label": label_codec.to_json(metadata.label), "desc": metadata.desc or quoted(metadata.brief)}


def listed_json(library: Library, picture: Picture) -> str:
    """A picture in a page of a list."""
    return json_object(id=quoted(name_of(library, picture)), value=json_object(**metadata_members(picture.metadata)))


def match_json(library: Library, match: Match, *, with_group: bool) -> str:
    """A picture that a search has found."""
    picture = match.candidate
    group = {"group": quoted(library.name)} if with_group else {}
    members = metadata_members(picture.metadata)
    return json_object(id=quoted(name_of(library, picture)), **members, score=repr(match.score), **group)


def truncated_to_limit(ports: Ports, operation: str, results: Iterable[str]) -> tuple[list[str], bool]:
    """The results that fit into one answer, and True if some were left out, which a metric counts."""
    shown: list[str] = []
    room = limits.MAX_RESULT_BYTES
    for result in results:
        room -= _escaped_size(result) + 1
        if room < 0:
            count(ports.settings, {"operation": operation}, {"AnswersCut": 1})
            return shown, True
        shown.append(result)
    return shown, False


def _escaped_size(text: str) -> int:
    """Bytes of the text as a string in an event.

    Lambda's runtime writes non-ASCII text unescaped, except the two line separators that JavaScript does not accept.
    """
    escaped = text.count('"') + text.count("\\") + 3 * (text.count("\u2028") + text.count("\u2029"))
    return len(text.encode()) + escaped
