"""Schemas of the API's document, by the names of their types: what is given is an input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lookalike.wire.native.answers import ProblemsSaid, ServiceSaid
from lookalike.wire.native.bulk import RowSaid, TotalsSaid
from lookalike.wire.native.calls import NativeCall
from lookalike.wire.native.problems import Problem
from lookalike.wire.native.requests import ImageGiven

_Json = dict[str, Any]

_REF = "#/components/schemas/{name}"

#: The picture of a request, whose members exclude one another: its forms, by the member that makes them.
_IMAGES: Mapping[str, tuple[str, ...]] = {
    "ImageByUrl": ("url",),
    "ImageInBase64": ("base64",),
    "ImageByUpload": ("upload",),
    "StoredImage": ("picture", "library"),
}

#: What the gateway answers by itself.
GATEWAY_REFERENCE: _Json = {"$ref": _REF.format(name="GatewayMessage")}

_GATEWAY: _Json = {
    "title": "GatewayMessage",
    "description": "What the gateway answers by itself.",
    "type": "object",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
}


def components(calls: Iterable[NativeCall]) -> _Json:
    """Return the schemas of everything that the calls take and answer, by name."""
    calls = tuple(calls)
    types = {kind: None for call in calls for kind in call.said.values() if isinstance(kind, type)}
    types |= {call.given: None for call in calls if call.given is not None}
    types |= {kind: None for call in calls for kind in call.form.values() if issubclass(kind, msgspec.Struct)}
    extra = (Problem, RowSaid, TotalsSaid, ServiceSaid, ProblemsSaid)
    _, made = msgspec.json.schema_components([*types, *extra], ref_template=_REF)
    schemas = {name(kind): _renamed(schema) for kind, schema in made.items()}
    image = name(ImageGiven.__name__)
    schemas |= dict(_images(schemas[image]))
    schemas[image] = {
        "title": image,
        "description": "A picture: where it is, or the file itself.",
        "oneOf": [{"$ref": _REF.format(name=form)} for form in _IMAGES],
    }
    return dict(sorted({**schemas, "GatewayMessage": _GATEWAY}.items()))


def _images(schema: _Json) -> Iterable[tuple[str, _Json]]:
    for title, members in _IMAGES.items():
        properties = {member: schema["properties"][member] for member in members}
        yield title, {**schema, "title": title, "properties": properties, "required": list(members[:1])}


def reference(kind: type[msgspec.Struct]) -> _Json:
    """Return the reference to the schema of a type."""
    return {"$ref": _REF.format(name=name(kind.__name__))}


def name(kind: str) -> str:
    """Return the name of a type in the document."""
    return kind.removesuffix("Said") if kind.endswith("Said") else re.sub(r"Given$", "Input", kind)


def _renamed(schema: Any) -> Any:
    """Return the schema, with references and titles by the names of the document, and what most tools read better."""
    if isinstance(schema, list):
        return [_renamed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _renamed_member(key, value) for key, value in _simplified(schema).items()}


def _simplified(schema: _Json) -> _Json:
    """Return the schema with whole numbers as integers, and a tuple whose items are alike as an array of that length."""
    if schema.get("multipleOf") == 1:
        schema = {key: value for key, value in schema.items() if key != "multipleOf"} | {"type": "integer"}
    parts = schema.get("prefixItems", ())
    if parts and all(part == parts[0] for part in parts):
        schema = {key: value for key, value in schema.items() if key != "prefixItems"} | {"items": parts[0]}
    return schema


def _renamed_member(key: str, value: Any) -> Any:
    if key == "$ref":
        return _REF.format(name=name(value.rpartition("/")[2]))
    if key == "description" and isinstance(value, str):
        return " ".join(value.replace("``", "`").split())
    return name(value) if key == "title" and isinstance(value, str) else _renamed(value)
