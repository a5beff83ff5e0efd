"""Metadata in the form of every store, driven by the fields of :class:`~lookalike.domain.picture.Metadata`.

A new field is appended to ``Metadata`` and named in :data:`ADDED_FIELDS`. SQLite gets a column by a migration, and the
checksums of older rows stay valid. DynamoDB, OpenSearch and the files of segments get the field where it is not empty;
``lookalike setup`` tells an OpenSearch index of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from lookalike.domain.picture import Metadata

#: Fields added to ``Metadata`` after its first four, in the order of their release.
ADDED_FIELDS: tuple[str, ...] = ("old_sign",)

#: All fields, in the order of ``Metadata``.
FIELDS = tuple(field.name for field in fields(Metadata))

#: The fields that hold several texts. The others hold one.
LIST_FIELDS = tuple(field.name for field in fields(Metadata) if field.default == ())

_values = attrgetter(*FIELDS)
_IS_LIST = tuple(name in LIST_FIELDS for name in FIELDS)
_LISTS = tuple(index for index, is_list in enumerate(_IS_LIST) if is_list)

# -- SQLite ------------------------------------------------------------------------------------------------------------

#: Columns of the first release. A row's checksum relies on their order.
COLUMNS = tuple(name for name in FIELDS if name not in ADDED_FIELDS)

#: Added columns, and the empty field that older rows have in them.
ADDED_COLUMNS = {name: "[]" if name in LIST_FIELDS else "" for name in ADDED_FIELDS}

#: Migrations that add those columns, one per field. Other migrations released later are inserted among them in order.
SQLITE_MIGRATIONS = tuple(
    (f"ALTER TABLE pictures ADD COLUMN {name} TEXT NOT NULL DEFAULT '{empty}'",)
    for name, empty in ADDED_COLUMNS.items()
)


def columns_of(metadata: Metadata) -> tuple[str, ...]:
    """Return the values of :data:`COLUMNS`, then of :data:`ADDED_COLUMNS`: text as it is, lists as JSON arrays."""
    values = [*_values(metadata)]
    for index in _LISTS:
        values[index] = json.dumps(values[index])
    return tuple(values)


def metadata_of_columns(columns: Sequence[str], added: Sequence[str] = ()) -> Metadata:
    """Return the metadata of the values of :data:`COLUMNS` and :data:`ADDED_COLUMNS`.

    Raises RecursionError, TypeError or ValueError for a damaged list.
    """
    values: list[Any] = [*columns, *added]
    for index in _LISTS:  # few of the fields, and a start decodes hundreds of thousands of rows
        values[index] = texts_of(values[index])
    return Metadata(*values)


@lru_cache(4096)  # many rows have equal lists, and share one tuple
def texts_of(column: str) -> tuple[str, ...]:
    """Return the texts of a list's column. Raises RecursionError, TypeError or ValueError if it is damaged."""
    texts = json.loads(column)
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError("not a list of texts")
    return tuple(texts)


# -- The packed candidate ----------------------------------------------------------------------------------------------


def packed(metadata: Metadata) -> tuple[Any, ...]:
    """Return the fields' values, which MessagePack can hold, without empty ones of added fields at the end."""
    values = tuple(_values(metadata))
    end = len(values)
    while end > len(COLUMNS) and not values[end - 1]:
        end -= 1
    return values[:end]


def unpacked(values: Sequence[Any]) -> Metadata:
    """Return the metadata of :func:`packed`'s values, in which a list may stand for a tuple."""
    own: list[Any] = [*values]
    for index in _LISTS:
        own[index] = tuple(own[index])
    return Metadata(*own)


# -- DynamoDB ----------------------------------------------------------------------------------------------------------


def attributes_of(metadata: Metadata) -> dict[str, Any]:
    """Return the attributes of an item, without empty fields."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: _attribute(value) for name, value in found if value}


def _attribute(value: str | tuple[str, ...]) -> dict[str, Any]:
    return {"S": value} if isinstance(value, str) else {"L": [{"S": text} for text in value]}


def metadata_of_attributes(item: Mapping[str, Mapping[str, Any]]) -> Metadata:
    """Return the metadata of an item. Raises KeyError or TypeError if the item is damaged."""
    values: dict[str, Any] = {
        name: _shared(tuple([text["S"] for text in item[name]["L"]])) if is_list else str(item[name]["S"])
        for name, is_list in zip(FIELDS, _IS_LIST, strict=True)
        if name in item
    }
    return Metadata(**values)


@lru_cache(4096)  # many rows have equal lists, and share one tuple
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    return texts


# -- OpenSearch --------------------------------------------------------------------------------------------------------

_SEARCHED = {"type": "keyword"}
_SHOWN = {"type": "keyword", "index": False, "doc_values": False}

#: Field mappings. Lists are searched by filters; text is only returned.
MAPPINGS = {name: _SEARCHED if name in LIST_FIELDS else _SHOWN for name in FIELDS}

#: Those that an index of an older version lacks.
ADDED_MAPPINGS = {name: MAPPINGS[name] for name in ADDED_FIELDS}


def document_fields_of(metadata: Metadata) -> dict[str, Any]:
    """Return the fields of a document. Empty added fields are left out, so that an older index takes the document."""
    found = zip(FIELDS, _values(metadata), strict=True)
    return {name: value for name, value in found if value or name not in ADDED_FIELDS}


def metadata_of_document(document: Mapping[str, Any]) -> Metadata:
    """Return the metadata of a document. Raises KeyError or TypeError if the document is damaged."""
    values: dict[str, Any] = {
        name: tuple(map(require_text, document[name])) if is_list else require_text(document[name])
        for name, is_list in zip(FIELDS, _IS_LIST, strict=True)
        if name in document or name not in ADDED_FIELDS
    }
    return Metadata(**values)


def require_text(value: object) -> str:
    """Return the value, if it is text. Raises TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
