"""An upload's metadata: parsed from its object, and limited."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from lookalike.domain import exact_json
from lookalike.domain.library import Kind
from lookalike.domain.picture import Metadata
from lookalike.domain.upload import UploadedObject
from lookalike.errors import ArgumentTooLong, InvalidArgument, TooManyItems
from lookalike.service.libraries import MADE_BY_ADD
from lookalike.service.tags import tags_of

#: Where uploads lie: ``uploads/<app id>/<library>/<name>``, the name with as many slashes as it likes.
LAYOUT = re.compile(r"uploads/([0-9]{1,20})/([^/]+)/(.+)", re.DOTALL)

#: Longest metadata, in bytes of UTF-8: the widest limit that a dialect has for the same field, so that whatever a client
#: may add may be uploaded. ``tags`` count before they are split, and have limits of their own.
MAX_BYTES = {"brief": 256, "label": 512, "desc": 4096, "tags": 256}

#: Tags of an upload.
MAX_TAGS = 10


def metadata_digest(metadata: Metadata) -> str:
    """Sixteen hexadecimal digits that distinguish metadata; uploads' records keep them.

    A field that is added later takes part only where it is not empty, so that recorded digests stay valid.
    """
    text = json.dumps([metadata.brief, metadata.label, metadata.desc, metadata.tags])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def metadata_of(key: str, kind: Kind, found: UploadedObject) -> Metadata:
    """The metadata of an object in a library of that kind. Its name stands in for a missing brief.

    Raises InvalidArgument.
    """
    library, name = place_of(key)[1:]
    return Metadata(
        brief=_text(found.words, "brief") or name.encode()[-MAX_BYTES["brief"] :].decode(errors="ignore"),
        label=_text(found.words, "label"),
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


def _text(words: Mapping[str, str], name: str) -> str:
    text = words.get(name, "")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason
    if length > MAX_BYTES[name]:
        raise ArgumentTooLong(name, f"more than {MAX_BYTES[name]} bytes")
    if "\0" in text:
        raise InvalidArgument(name, "must not hold a NUL character")
    return text


def _desc(words: Mapping[str, str]) -> str:
    desc = _text(words, "desc")
    try:
        return exact_json.compact(exact_json.read(desc.encode())) if desc else ""
    except InvalidArgument as reason:
        raise InvalidArgument("desc", reason.reason) from reason


def _tags(library: str, kind: Kind, words: Mapping[str, str]) -> tuple[str, ...]:
    parts = (part.strip() for part in _text(words, "tags").split(","))
    tags = tuple(dict.fromkeys(tag for tag in parts if tag))
    if len(tags) > MAX_TAGS:
        raise TooManyItems("tags", f"more than {MAX_TAGS}")
    return tags_of(kind, tags) if library in MADE_BY_ADD else tags
