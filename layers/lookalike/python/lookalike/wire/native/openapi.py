"""The API's document in OpenAPI 3.1, made of the table of calls and of the types of requests and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import lookalike
from lookalike.wire.native import problems
from lookalike.wire.native.about import OPENAPI, openapi_file
from lookalike.wire.native.answers import ProblemsSaid, ServiceSaid
from lookalike.wire.native.bulk import CONTENT_TYPE, RowSaid, TotalsSaid
from lookalike.wire.native.calls import BASE, CALLS, NativeCall, Parameter
from lookalike.wire.native.session import SignInGiven

_Json = dict[str, Any]

_REF = "#/components/schemas/{name}"

_SECURITY: Sequence[_Json] = ({"keys": []}, {"token": []})

_ABOUT = (
    "Reverse image search. Libraries hold pictures; a search finds the same, similar or same-product ones. Every add may "
    "be repeated. Boxes, regions and transforms are fractions of the upright picture; times are RFC 3339, in UTC. An id "
    "with other characters than letters, digits, dot, underscore, comma and hyphen stands in a path as ~ and its base64url."
)

_PATH_PARAMETERS: Mapping[str, _Json] = {
    "library": {
        "description": "Name of the library",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
    "id": {"description": "Id of the picture", "schema": {"type": "string", "minLength": 1, "maxLength": 700}},
}


def document() -> _Json:
    """Return the document."""
    made: _Json = json.loads(json.dumps(_document()))
    return made


def _document() -> _Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lookalike",
            "version": lookalike.__version__,
            "summary": "Reverse image search that its users own",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": list(_SECURITY),
        "tags": [{"name": name} for name in sorted({_tag(call) for call in CALLS} | {"service"})],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "keys": {"type": "http", "scheme": "basic", "description": "Access key and secret key"},
                "token": {"type": "http", "scheme": "bearer", "description": "An access token of /oauth/2.0/token"},
            },
            "schemas": _schemas(),
            "responses": {"Problem": _problem_response()},
        },
    }


def text() -> str:
    """Return the document as it is stored."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def write(path: Path | None = None) -> None:
    """Write the document to where the service answers it from."""
    (path or openapi_file()).write_text(text())


def _paths() -> _Json:
    paths: _Json = {
        BASE: {"get": _public("get_service", "Say what answers here, and what a picture may be.", ServiceSaid)},
        problems.PAGE: {"get": _public("list_problems", "List every problem that answers may have.", ProblemsSaid)},
        OPENAPI: {"get": _public("get_openapi", "Return this document.", None)},
    }
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return paths


def _public(name: str, about: str, said: type[msgspec.Struct] | None) -> _Json:
    schema = {"type": "object"} if said is None else _reference(said)
    return {
        "operationId": name,
        "summary": about.rstrip("."),
        "tags": ["service"],
        "security": [],
        "responses": {
            "200": {"description": "As asked", "content": {"application/json": {"schema": schema}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }


def _operation(call: NativeCall) -> _Json:
    summary, _, rest = call.about.partition(". ")
    said: _Json = {
        "operationId": call.name,
        "summary": summary.rstrip("."),
        "tags": [_tag(call)],
        "parameters": [*_path_parameters(call.path), *map(_parameter, call.parameters)],
        "responses": {
            **{str(status): _response(status, kind) for status, kind in call.said.items()},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if rest:
        said["description"] = rest
    if call.given is SignInGiven:
        said["security"] = []
    if call.given is not None:
        said["requestBody"] = {"required": True, "content": _content(call, call.given)}
    return said


def _tag(call: NativeCall) -> str:
    module = getattr(call.call, "__module__", "").rpartition(".")[2]
    return {"bulk": "pictures", "about": "service"}.get(module, module)


def _path_parameters(path: str) -> Iterator[_Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}


def _parameter(parameter: Parameter) -> _Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _response(status: int, kind: type[msgspec.Struct] | str | None) -> _Json:
    headers = {"etag": {"description": "The revision", "schema": {"type": "string"}}}
    if kind is None:
        return {"description": "Not changed since" if status == 304 else "Done"}
    if isinstance(kind, str):
        binary = {} if kind.startswith("image/") else {"schema": {"type": "string"}}
        return {"description": "The file", "content": {kind: binary}}
    return {
        "description": "Made" if status == 201 else "As asked",
        "headers": headers,
        "content": {"application/json": {"schema": _reference(kind)}},
    }


def _content(call: NativeCall, given: type[msgspec.Struct]) -> _Json:
    reference = {"schema": _reference(given)}
    if call.body == "ndjson":
        return {CONTENT_TYPE: {"schema": {"type": "string", "description": f"A {_name(given.__name__)} a line"}}}
    if call.body == "json":
        return {"application/json": reference}
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"type": "string", "contentMediaType": "image/*"}, "picture": _reference(given)},
    }
    return {
        "application/json": reference,
        "multipart/form-data": {"schema": form, "encoding": {"picture": {"contentType": "application/json"}}},
        "image/*": {},
        "application/octet-stream": {},
    }


def _problem_response() -> _Json:
    content = {problems.CONTENT_TYPE: {"schema": _reference(problems.Problem)}}
    return {"description": f"What went wrong; {problems.PAGE} lists every code", "content": content}


def _schemas() -> _Json:
    types = {kind: None for call in CALLS for kind in call.said.values() if isinstance(kind, type)}
    types |= {call.given: None for call in CALLS if call.given is not None}
    extra = (problems.Problem, RowSaid, TotalsSaid, ServiceSaid, ProblemsSaid)
    _, components = msgspec.json.schema_components([*types, *extra], ref_template=_REF)
    return {_name(name): _renamed(schema) for name, schema in sorted(components.items())}


def _renamed(schema: Any) -> Any:
    """Return the schema, with references and titles by the names of the document."""
    if isinstance(schema, list):
        return [_renamed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _REF.format(name=_name(value.rpartition("/")[2]))
        if key == "$ref"
        else _name(value)
        if key == "title" and isinstance(value, str)
        else _renamed(value)
        for key, value in schema.items()
    }


def _reference(kind: type[msgspec.Struct]) -> _Json:
    return {"$ref": _REF.format(name=_name(kind.__name__))}


def _name(name: str) -> str:
    """Return the name of a type in the document: what is given is an input."""
    return name.removesuffix("Said") if name.endswith("Said") else re.sub(r"Given$", "Input", name)
