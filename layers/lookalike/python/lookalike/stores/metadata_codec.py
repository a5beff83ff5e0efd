"""Metadata in every store's form, field by field as :class:`~lookalike.domain.picture.Metadata` declares them.

A new field is appended to ``Metadata`` and named in :data:`ADDED_FIELDS`: SQLite gets a column by a migration, which
every row written before passes as it is; DynamoDB and OpenSearch get it where it is not empty, OpenSearch in indices made
anew (``lookalike setup --rebuild``).
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

# -- SQLite ------------------------------------------------------------------------------------------------------------

#: Columns of the first release, in their order, which a row's checksum relies on.
COLUMNS = tuple(name for name in FIELDS if name not in ADDED_FIELDS)

#: What rows that are older than an added column have in it: an empty field.
ADDED_COLUMNS = {name: "[]" if name in LIST_FIELDS else "" for name in ADDED_FIELDS}

#: Migrations that add those columns, one a field. A table's own later migrations go between them as they are released.
SQLITE_MIGRATIONS = tuple(
    (f"ALTER TABLE pictures ADD COLUMN {name} TEXT NOT NULL DEFAULT '{empty}'",)
    for name, empty in ADDED_COLUMNS.items()
)


def columns_of(metadata: Metadata, names: Sequence[str] = COLUMNS) -> tuple[str, ...]:
    """The values of these columns: text as it is, several texts as a JSON array."""
    values = (getattr(metadata, name) for name in names)
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in values)


def metadata_of_columns(columns: Sequence[str], added: Sequence[str] = ()) -> Metadata:
    """The metadata of the values of :data:`COLUMNS` and :data:`ADDED_COLUMNS`. Raises ValueError for a damaged list."""
    fields_ = zip(_IS_LIST, (*columns, *added), strict=True)
    values: list[Any] = [texts_of(value) if is_list else value for is_list, value in fields_]
    return Metadata(*values)


@lru_cache(4096)  # few lists are many rows', and then they share one tuple
def texts_of(column: str) -> tuple[str, ...]:
    """The texts of a list's column. Raises ValueError for one that is damaged."""
    texts = json.loads(column)
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError("not a list of texts")
    return tuple(texts)


# -- The packed candidate ----------------------------------------------------------------------------------------------


def packed(metadata: Metadata) -> tuple[Any, ...]:
    """Plain values, small to marshal."""
    return tuple(value if value != () else None for value in _values(metadata))


def unpacked(values: Sequence[Any]) -> Metadata:
    """The metadata that :func:`packed` packed."""
    whole: list[Any] = [() if value is None else value for value in values]
    return Metadata(*whole)


# -- DynamoDB ----------------------------------------------------------------------------------------------------------


def attributes_of(metadata: Metadata) -> dict[str, Any]:
    """Attributes of an item; empty fields are left out."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: _attribute(value) for name, value in found if value}


def _attribute(value: str | tuple[str, ...]) -> dict[str, Any]:
    return {"S": value} if isinstance(value, str) else {"L": [{"S": text} for text in value]}


def metadata_of_attributes(item: Mapping[str, Mapping[str, Any]]) -> Metadata:
    """The metadata of an item. Raises KeyError or TypeError for one that cannot be read."""
    values: dict[str, Any] = {
        name: _shared(tuple([text["S"] for text in item[name]["L"]])) if is_list else str(item[name]["S"])
        for name, is_list in zip(FIELDS, _IS_LIST, strict=True)
        if name in item
    }
    return Metadata(**values)


@lru_cache(4096)  # few lists are many rows', and then they share one tuple
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    return texts


# -- OpenSearch --------------------------------------------------------------------------------------------------------

_SEARCHED = {"type": "keyword"}
_SHOWN = {"type": "keyword", "index": False, "doc_values": False}

#: Field mappings: lists are filtered by, text is only shown.
MAPPINGS = {name: _SEARCHED if name in LIST_FIELDS else _SHOWN for name in FIELDS}


def document_fields_of(metadata: Metadata) -> dict[str, Any]:
    """Fields of a document; of added ones those that are not empty, which alone need an index that has them."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: value for name, value in found if value or name not in ADDED_FIELDS}


def metadata_of_document(document: Mapping[str, Any]) -> Metadata:
    """The metadata of a document. Raises KeyError or TypeError for one that cannot be read."""
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
