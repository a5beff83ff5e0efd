"""The API's document in OpenAPI 3.1, made of the table of calls and of the types of requests and answers.

Every status that a call may answer is named; there is no ``default``, so that an answer that is not named is a fault, which
tests find. What the gateway itself answers is named with it: its answers have a ``message`` and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import msgspec

import lookalike
from lookalike.wire.native import BASE, examples, limits, problems, schemas
from lookalike.wire.native.about import OPENAPI, openapi_file
from lookalike.wire.native.answers import ProblemsSaid, ServiceSaid
from lookalike.wire.native.bulk import CONTENT_TYPE, RowSaid, TotalsSaid
from lookalike.wire.native.calls import CALLS, NativeCall, Parameter
from lookalike.wire.native.requests import JOB_PATTERN, LIBRARY_PATTERN, LibraryGiven
from lookalike.wire.native.session import SignInGiven

_Json = dict[str, Any]

_SECURITY: Sequence[_Json] = ({"keys": []}, {"token": []})

_ABOUT = (
    "Reverse image search. Libraries hold pictures; a search finds the same, similar or same-product ones. An add "
    "may be repeated with an id, or where a picture is its own id. Boxes, regions and transforms are fractions of the upright picture; times are RFC 3339, in UTC. An id "
    "with other characters than letters, digits, dot, underscore, comma and hyphen stands in a path as ~ and its base64url. "
    "Lengths of texts are in bytes of UTF-8. RateLimit and RateLimit-Policy are those of "
    "draft-ietf-httpapi-ratelimit-headers-11, a draft."
)

#: A file. OpenAPI 3.1 needs no format for it, but what makes clients reads this one.
_BYTES: _Json = {"type": "string", "format": "binary"}

_TAGS: Mapping[str, str] = {
    "libraries": "Make, list, look at, change, remove",
    "pictures": "Add, list, look at, change, delete, restore; and their files",
    "searching": "Search, check, compare",
    "duplicates": "Look for near-duplicates, list them, and say which are none",
    "jobs": "Work that takes longer than a call: start, look at, pause, resume, cancel",
    "service": "What answers here, and what was used",
}

_PATH_PARAMETERS: Mapping[str, _Json] = {
    "library": {"description": "Name of the library", "schema": {"type": "string", "pattern": LIBRARY_PATTERN}},
    "job": {"description": "Name of the job", "schema": {"type": "string", "pattern": JOB_PATTERN}},
    "id": {
        "description": "Id of the picture; or ~ and its base64url",
        "schema": {"type": "string", "minLength": 1, "maxLength": 700, "pattern": "^([^~/][^/]*|~[A-Za-z0-9_-]+)$"},
    },
}

#: Statuses of problems that every call may have: its query, the caller, and the service.
_ALWAYS = (400, 401, 403, 429, 503)

#: Statuses that the gateway may answer by itself: too large, too many calls, and not now.
_GATEWAY = (413, 429, 503)

_PROBLEMS: Mapping[int, str] = {
    400: "A value is missing, malformed, or out of range: field names it",
    401: "The keys or the token are not known",
    403: "The application is disabled, may not do this, or may not be used from this address",
    404: "There is no such library, job or upload, or no such picture in the library",
    409: "It is there already or other, another write was faster, the library is full, or the upload has no file, or none yet",
    410: "The upload's time is up",
    412: "The picture has another revision than If-Match names",
    413: "The request is larger than the gateway takes",
    422: "The picture cannot be read, downloaded or sent",
    429: "More calls than allowed; Retry-After says when to try again, if it is of use",
    503: "Not now; Retry-After says when to try again",
}

_HEADERS: Mapping[str, _Json] = {
    "ETag": {"description": "The revision", "schema": {"type": "string", "pattern": '^"[0-9]+"$'}},
    "Location": {
        "description": "Path of the picture or the job, or address of the file",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "X-Request": {"description": "Number of the call, which the service's log has too", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "RateLimit-Policy": {
        "description": "Limits of the application, if it has some: a draft",
        "schema": {"type": "string"},
        "example": '"second";q=10;w=1',
    },
    "RateLimit": {
        "description": "What is left of them: a draft",
        "schema": {"type": "string"},
        "example": '"second";r=9;t=1',
    },
}


#: Headers of every answer, those of limits for an application that has some.
_EVERYWHERE = ("X-Request", "RateLimit-Policy", "RateLimit")


def document() -> _Json:
    """Return the document."""
    made: _Json = json.loads(json.dumps(_document()))
    return made


def text() -> str:
    """Return the document as it is stored."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def write(path: Path | None = None) -> None:
    """Write the document to where the service answers it from."""
    (path or openapi_file()).write_text(text())


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
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "keys": {"type": "http", "scheme": "basic", "description": "Access key and secret key"},
                "token": {"type": "http", "scheme": "bearer", "description": "An access token of /oauth/2.0/token"},
            },
            "schemas": schemas.components(CALLS),
            "responses": {f"Problem{status}": _problem(status, about) for status, about in _PROBLEMS.items()},
            "headers": dict(_HEADERS),
            "links": dict(_links()),
        },
    }


def _paths() -> _Json:
    paths: _Json = {
        BASE: {"get": _public("get_service", "Say what answers here, and what a picture may be", ServiceSaid)},
        problems.PAGE: {"get": _public("list_problems", "List every problem that answers may have", ProblemsSaid)},
        OPENAPI: {"get": _public("get_openapi", "Return this document", None)},
    }
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return paths


def _public(name: str, about: str, said: type[msgspec.Struct] | None) -> _Json:
    content = {"schema": {"type": "object"}} if said is None else _said(name, said)
    return {
        "operationId": name,
        "summary": about,
        "tags": ["service"],
        "security": [],
        "responses": {
            "200": {"description": "As asked", "content": {"application/json": content}},
            **_refusals((429, 503)),
        },
    }


def _operation(call: NativeCall) -> _Json:
    summary, _, rest = call.about.partition(". ")
    refused = (*_ALWAYS, *call.refused, *(() if call.given is None else (413,)))
    said: _Json = {
        "operationId": call.name,
        "summary": summary.rstrip("."),
        "tags": [_tag(call)],
        "parameters": [*_path_parameters(call.path), *map(_parameter, call.parameters)],
        "responses": {**{str(status): _response(call, status) for status in call.said}, **_refusals(refused)},
    }
    if rest:
        said["description"] = rest
    if call.given is SignInGiven:
        said["security"] = []
    if call.given is not None:
        said["requestBody"] = {"required": call.given is not LibraryGiven, "content": _content(call, call.given)}
    return said


def _refusals(statuses: Iterable[int]) -> _Json:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(set(statuses))}


def _tag(call: NativeCall) -> str:
    module = getattr(call.call, "__module__", "").rpartition(".")[2]
    return {"bulk": "pictures", "uploads": "pictures", "about": "service"}.get(module, module)


def _path_parameters(path: str) -> Iterator[_Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        about = {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
        yield {**about, "example": examples.PARAMETERS[name]}


def _parameter(parameter: Parameter) -> _Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _response(call: NativeCall, status: int) -> _Json:
    kind = call.said[status]
    names = list(_EVERYWHERE)
    if status == 304 or (
        call.name != "list_of_pictures"
        and not isinstance(kind, str)
        and call.path.endswith(("/{id}", "/restore", "/pictures"))
    ):
        names += [] if kind is None and status != 304 else ["ETag"]
    located = call.name in ("add_picture", "find_duplicates", "put_job") or status == HTTPStatus.TEMPORARY_REDIRECT
    names += ["Location"] if located else []
    response: _Json = {"description": _done(status, kind), "headers": {name: _header(name) for name in names}}
    if isinstance(kind, str):
        response["content"] = {kind: _file(kind)}
    elif kind is not None:
        response["content"] = {"application/json": _said(call.name, kind)}
    if links := list(_links_from(call, status)):
        response["links"] = {name: {"$ref": f"#/components/links/{name}"} for name in links}
    return response


def _header(name: str) -> _Json:
    return {"$ref": f"#/components/headers/{name}"}


def _done(status: int, kind: type[msgspec.Struct] | str | None) -> str:
    if kind is None:
        return {304: "Not changed since", 307: "The file is at Location, for five minutes"}.get(status, "Done")
    if isinstance(kind, str):
        return "The file" if kind.startswith("image/") else "A Row a line, and Totals in the last one"
    return "Made" if status == HTTPStatus.CREATED else "As asked"


def _file(kind: str) -> _Json:
    if kind.startswith("image/"):
        return {"schema": _BYTES}
    rows = {"anyOf": [schemas.reference(RowSaid), schemas.reference(TotalsSaid)]}
    return {"schema": _lines_of(rows), "example": _lines(examples.ROWS_SAID)}


def _lines_of(row: _Json) -> _Json:
    """Return the schema of a body of lines: a text, whose content is an array of the lines' objects."""
    content = {"type": "array", "items": row, "maxItems": limits.MAX_ROWS + 1}
    return {"type": "string", "contentMediaType": CONTENT_TYPE, "contentSchema": content}


def _said(name: str, kind: type[msgspec.Struct]) -> _Json:
    said: _Json = {"schema": schemas.reference(kind)}
    if name in examples.SAID:
        said["example"] = _plain(examples.SAID[name])
    return said


def _content(call: NativeCall, given: type[msgspec.Struct]) -> _Json:
    if call.body == "ndjson":
        schema = _lines_of(schemas.reference(given))
        return {CONTENT_TYPE: {"schema": schema, "example": _lines(examples.ROWS_GIVEN)}}
    said = {"schema": schemas.reference(given), "example": _plain(examples.GIVEN[call.name])}
    if call.body == "json":
        return {"application/json": said}
    fields = {name: _field(call, name) for name in call.form}
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": _BYTES, **fields},
        "additionalProperties": False,
    }
    encoding = {name: {"contentType": "application/json"} for name, kind in call.form.items() if kind is not str}
    return {
        "application/json": said,
        "multipart/form-data": {"schema": form, **({"encoding": encoding} if encoding else {})},
        "application/octet-stream": {"schema": _BYTES},
        "image/*": {"schema": _BYTES},
    }


def _field(call: NativeCall, name: str) -> _Json:
    """Return the schema of a field of a form; what may stand in the query, too, has one there."""
    kind = call.form[name]
    if kind is not str:
        return schemas.reference(cast("type[msgspec.Struct]", kind))
    return next((dict(one.schema) for one in call.parameters if one.name == name), {"type": "string"})


def _problem(status: int, about: str) -> _Json:
    kinds = sorted(kind.code for kind in set(problems.PROBLEMS.values()) if kind.status == status)
    content: _Json = {problems.CONTENT_TYPE: {"schema": schemas.reference(problems.Problem)}}
    if status in _GATEWAY:
        content["application/json"] = {"schema": schemas.GATEWAY_REFERENCE}
    names = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    response = {
        "description": f"{about}. Codes: {', '.join(kinds)}",
        "headers": {name: _header(name) for name in (*_EVERYWHERE, *names)},
        "content": content,
    }
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        del content[problems.CONTENT_TYPE]
        response |= {"description": about, "headers": {}}
    return response


def _links() -> Iterator[tuple[str, _Json]]:
    """Links by name: from a library and from a picture to the calls on it, and from a page to the next one."""
    for call in CALLS:
        names = re.findall(r"\{(\w+)\}", call.path)
        if names:
            values = {name: "$request.path.library" if name == "library" else "$response.body#/id" for name in names}
            yield f"{call.name}_of_it", {"operationId": call.name, "parameters": values}
    following = {"library": "$request.path.library", "after": "$response.body#/next"}
    yield "next_page", {"operationId": "list_of_pictures", "parameters": following}
    yield "next_clusters", {"operationId": "list_duplicates", "parameters": following}
    again = {"library": "$request.path.library", "id": "$request.path.id"}
    yield "undo", {"operationId": "restore_picture", "parameters": again}


def _links_from(call: NativeCall, status: int) -> Iterator[str]:
    """Names of the links from an answer."""
    if call.name == "delete_picture":
        yield "undo"
    if call.name == "list_of_pictures":
        yield "next_page"
    if call.name == "list_duplicates":
        yield "next_clusters"
    if call.name in ("find_duplicates", "put_job"):
        yield from (f"{other.name}_of_it" for other in CALLS if "{job}" in other.path and other.name != call.name)
    if call.name in ("put_library", "add_picture", "put_picture") and status < HTTPStatus.BAD_REQUEST:
        of_picture = call.name != "put_library"
        for other in CALLS:
            if "{library}" in other.path and ("{id}" in other.path) == of_picture and other.name != call.name:
                yield f"{other.name}_of_it"


def _plain(said: msgspec.Struct) -> Any:
    return json.loads(msgspec.json.encode(said))


def _lines(rows: Iterable[msgspec.Struct]) -> str:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows).decode()
