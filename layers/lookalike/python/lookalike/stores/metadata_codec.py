"""Codec of metadata for every store, driven by the fields of :class:`~lookalike.domain.picture.Metadata`.

A new field is appended to ``Metadata`` and named in :data:`ADDED_FIELDS`. SQLite gets a column by a migration, and the
checksums of older rows stay valid; DynamoDB and OpenSearch store it where it is not empty, OpenSearch in indices that have
it (``lookalike setup --rebuild`` makes them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from lookalike.domain.picture import Metadata

#: Fields that were added to ``Metadata`` after its first four, in the order in which they were released.
ADDED_FIELDS: tuple[str, ...] = ()

#: All fields, in the order of ``Metadata``.
FIELDS = tuple(field.name for field in fields(Metadata))

#: The fields that hold several texts; the others hold one.
LIST_FIELDS = tuple(field.name for field in fields(Metadata) if field.default == ())

_values = attrgetter(*FIELDS)
_IS_LIST = tuple(name in LIST_FIELDS for name in FIELDS)
_LIST_INDICES = tuple(index for index, is_list in enumerate(_IS_LIST) if is_list)

# -- SQLite ------------------------------------------------------------------------------------------------------------

#: Columns of the first release, in the order on which rows' checksums rely.
COLUMNS = tuple(name for name in FIELDS if name not in ADDED_FIELDS)

#: Added columns, and the empty field that older rows have in them.
ADDED_COLUMNS = {name: "[]" if name in LIST_FIELDS else "" for name in ADDED_FIELDS}

#: Migrations that add those columns, one per field. Other later migrations must be put between them in order of release.
SQLITE_MIGRATIONS = tuple(
    (f"ALTER TABLE pictures ADD COLUMN {name} TEXT NOT NULL DEFAULT '{empty}'",)
    for name, empty in ADDED_COLUMNS.items()
)


def columns_of(metadata: Metadata) -> Sequence[str]:
    """Return the values of :data:`COLUMNS` and :data:`ADDED_COLUMNS`: text as it is, lists as JSON arrays."""
    values: list[Any] = list(_values(metadata))
    for index in _LIST_INDICES:
        values[index] = json.dumps(values[index])
    return values


def metadata_of_columns(columns: Sequence[str]) -> Metadata:
    """Parse the values of :data:`COLUMNS` and :data:`ADDED_COLUMNS`. Raises ValueError for a damaged list."""
    values: list[Any] = list(columns)
    for index in _LIST_INDICES:
        values[index] = texts_of(values[index])
    return Metadata(*values)


@lru_cache(4096)  # most rows have one of a few lists: they share its tuple
def texts_of(column: str) -> tuple[str, ...]:
    """Parse a list's column. Raises ValueError if it is damaged."""
    texts = json.loads(column)
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError("not a list of texts")
    return tuple(texts)


# -- The packed candidate ----------------------------------------------------------------------------------------------


def packed(metadata: Metadata) -> Sequence[Any]:
    """Return plain values, small to marshal: None for an empty list."""
    values: list[Any] = list(_values(metadata))
    for index in _LIST_INDICES:
        values[index] = values[index] or None
    return values


def unpacked(values: list[Any]) -> Metadata:
    """Make metadata of a list of the values that :func:`packed` returned."""
    for index in _LIST_INDICES:
        values[index] = values[index] or ()
    return Metadata(*values)


# -- DynamoDB ----------------------------------------------------------------------------------------------------------


def attributes_of(metadata: Metadata) -> dict[str, Any]:
    """Return attributes of an item; empty fields are left out."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: _attribute(value) for name, value in found if value}


def _attribute(value: str | tuple[str, ...]) -> dict[str, Any]:
    return {"S": value} if isinstance(value, str) else {"L": [{"S": text} for text in value]}


def metadata_of_attributes(item: Mapping[str, Mapping[str, Any]]) -> Metadata:
    """Parse an item's metadata. Raises KeyError or TypeError for a malformed item."""
    values: dict[str, Any] = {
        name: _shared(tuple([text["S"] for text in item[name]["L"]])) if is_list else str(item[name]["S"])
        for name, is_list in zip(FIELDS, _IS_LIST, strict=True)
        if name in item
    }
    return Metadata(**values)


@lru_cache(4096)  # most rows have one of a few lists: they share its tuple
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    return texts


# -- OpenSearch --------------------------------------------------------------------------------------------------------

_SEARCHED = {"type": "keyword"}
_SHOWN = {"type": "keyword", "index": False, "doc_values": False}

#: Field mappings: searches filter by lists; text is only stored.
MAPPINGS = {name: _SEARCHED if name in LIST_FIELDS else _SHOWN for name in FIELDS}


def document_fields_of(metadata: Metadata) -> dict[str, Any]:
    """Return fields of a document; added ones only where not empty, so that older indices take the others."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: value for name, value in found if value or name not in ADDED_FIELDS}


def metadata_of_document(document: Mapping[str, Any]) -> Metadata:
    """Parse a document's metadata. Raises KeyError or TypeError for a malformed document."""
    values: dict[str, Any] = {
        name: tuple(map(_text, document[name])) if is_list else _text(document[name])
        for name, is_list in zip(FIELDS, _IS_LIST, strict=True)
        if name in document or name not in ADDED_FIELDS
    }
    return Metadata(**values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
