"""Metadata of uploads: parsed from the object's user metadata, within limits."""

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
from lookalike.service.libraries import IMPLICIT_LIBRARIES
from lookalike.service.tags import tags_of

#: Keys of uploads: ``uploads/<app id>/<library>/<name>``; the name may have slashes.
LAYOUT = re.compile(r"uploads/([0-9]{1,20})/([^/]+)/(.+)", re.DOTALL)

#: Bytes of each field in UTF-8: the widest limit of any dialect, so that whatever a client may add may be uploaded. ``tags``
#: count before they are split; no dialect takes them as one text.
MAX_BYTES = {"brief": 256, "label": 512, "desc": 4096, "tags": 256}

#: Tags of an upload.
MAX_TAGS = 10


def metadata_digest(metadata: Metadata) -> str:
    """Return a digest of metadata for the records of uploads: sixteen hexadecimal digits.

    An old sign takes no part: no upload says it. A field added later must take part only where it is not empty, so that
    recorded digests stay valid.
    """
    text = json.dumps([metadata.brief, metadata.label, metadata.desc, metadata.tags])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def metadata_of(key: str, kind: Kind, found: UploadedObject) -> Metadata:
    """Parse the metadata of an object in a library of that kind. The object's name replaces a missing brief.

    Raises InvalidArgument.
    """
    library, name = place_of(key)[1:]
    return Metadata(
        brief=_text(found.user_metadata, "brief") or name.encode()[-MAX_BYTES["brief"] :].decode(errors="ignore"),
        label=_text(found.user_metadata, "label"),
        desc=_desc(found.user_metadata),
        tags=_tags(library, kind, found.user_metadata),
    )


def place_of(key: str) -> tuple[str, str, str]:
    """Parse an object's key into app id, library and name. Raises InvalidArgument for another form of key."""
    layout = LAYOUT.fullmatch(key)
    if layout is None:
        raise InvalidArgument("key", "is not uploads/<app id>/<library>/<name>")
    app_id, library, name = layout.groups()
    return app_id, library, name


def _text(user_metadata: Mapping[str, str], name: str) -> str:
    text = user_metadata.get(name, "")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason
    if length > MAX_BYTES[name]:
        raise ArgumentTooLong(name, f"more than {MAX_BYTES[name]} bytes")
    if "\0" in text:
        raise InvalidArgument(name, "must not hold a NUL character")
    return text


def _desc(user_metadata: Mapping[str, str]) -> str:
    desc = _text(user_metadata, "desc")
    try:
        return exact_json.compact(exact_json.read(desc.encode())) if desc else ""
    except InvalidArgument as reason:
        raise InvalidArgument("desc", reason.reason) from reason


def _tags(library: str, kind: Kind, user_metadata: Mapping[str, str]) -> tuple[str, ...]:
    parts = (part.strip() for part in _text(user_metadata, "tags").split(","))
    tags = tuple(dict.fromkeys(tag for tag in parts if tag))
    if len(tags) > MAX_TAGS:
        raise TooManyItems("tags", f"more than {MAX_TAGS}")
    return tags_of(kind, tags) if library in IMPLICIT_LIBRARIES else tags
