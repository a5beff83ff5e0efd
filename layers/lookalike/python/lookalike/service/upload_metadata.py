"""What an uploader says of a picture, and within which bounds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lookalike.domain import exact_json
from lookalike.domain.library import Kind
from lookalike.domain.picture import Picture
from lookalike.domain.upload import UploadedObject
from lookalike.errors import ArgumentTooLong, InvalidArgument, TooManyItems
from lookalike.service.libraries import MADE_BY_ADD
from lookalike.service.tags import tags_of

#: Where uploads lie: ``uploads/<app id>/<library>/<name>``, the name with as many slashes as it likes.
LAYOUT = re.compile(r"uploads/([0-9]{1,20})/([^/]+)/(.+)", re.DOTALL)

#: Longest words, in bytes of UTF-8: brief as Baidu has it, desc as Qiniu has it; tags before they are split.
_MAX_BRIEF, _MAX_LABEL, _MAX_DESC, _MAX_TAGS_TEXT = 256, 256, 4096, 256
_MAX_TAGS = 10


@dataclass(frozen=True, slots=True)
class Words:
    """Brief, label, desc (JSON text or empty) and tags."""

    brief: str
    label: str
    desc: str
    tags: tuple[str, ...]

    @classmethod
    def of(cls, picture: Picture) -> Self:
        """Those that a row has."""
        return cls(picture.brief, picture.label, picture.desc, picture.tags)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell them from others."""
        said = json.dumps([self.brief, self.label, self.desc, self.tags])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def on(self, picture: Picture, revision: int) -> Picture:
        """The row with these words, at that revision."""
        return picture.but(revision=revision, brief=self.brief, label=self.label, desc=self.desc, tags=self.tags)


def words_of(key: str, kind: Kind, found: UploadedObject) -> Words:
    """What is said of an object in a library of that kind. Without a brief, its name is what answers show.

    Raises InvalidArgument.
    """
    library, name = place_of(key)[1:]
    return Words(
        brief=_text(found.words, "brief", _MAX_BRIEF) or name.encode()[-_MAX_BRIEF:].decode(errors="ignore"),
        label=_text(found.words, "label", _MAX_LABEL),
        desc=_desc(found.words),
        tags=_tags(library, kind, found.words),
    )


def place_of(key: str) -> tuple[str, str, str]:
    """App id, library and name of an object. Raises InvalidArgument for a key that says no such place."""
    layout = LAYOUT.fullmatch(key)
    if layout is None:
        raise InvalidArgument("key", "is not uploads/<app id>/<library>/<name>")
    app_id, library, name = layout.groups()
    return app_id, library, name


def _text(words: Mapping[str, str], name: str, most: int) -> str:
    text = words.get(name, "")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason
    if length > most:
        raise ArgumentTooLong(name, f"more than {most} bytes")
    if "\0" in text:
        raise InvalidArgument(name, "must not hold a NUL character")
    return text


def _desc(words: Mapping[str, str]) -> str:
    desc = _text(words, "desc", _MAX_DESC)
    try:
        return exact_json.compact(exact_json.read(desc.encode())) if desc else ""
    except InvalidArgument as reason:
        raise InvalidArgument("desc", reason.reason) from reason


def _tags(library: str, kind: Kind, words: Mapping[str, str]) -> tuple[str, ...]:
    parts = (part.strip() for part in _text(words, "tags", _MAX_TAGS_TEXT).split(","))
    tags = tuple(dict.fromkeys(tag for tag in parts if tag))
    if len(tags) > _MAX_TAGS:
        raise TooManyItems("tags", f"more than {_MAX_TAGS}")
    return tags_of(kind, tags) if library in MADE_BY_ADD else tags
