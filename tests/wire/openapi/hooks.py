"""What schemathesis does not know of this API: pictures, names of what is there, and rules that no JSON Schema can say.

Its requests are left as they are when they are meant to be wrong. In those that are meant to be right, most pictures are made
real ones and most names those of what there is, so that calls do their work, and no address is one of the internet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.openapi.checks import RejectedPositiveData

from lookalike.wire.native.examples import PICTURE
from tests.wire.openapi.names import IDS, LIBRARY

#: What is refused although the document allows it, by code, field and words: what no schema can say.
BEYOND_SCHEMAS = (
    ("argument_too_long", ".*", ".*"),  # lengths are in bytes, those of schemas in characters
    ("invalid_argument", "(id|/id|/tags/.*|/filter/.*|/image/url)", "must have 1 to [0-9]+ bytes.*"),
    ("invalid_argument", ".*", "must not hold a NUL character"),
    ("invalid_argument", ".*", "half a surrogate pair"),
    ("invalid_argument", "/pictures", "must name two different pictures at least"),
    ("invalid_argument", "/pictures/[0-9]+", "must have 1 to [0-9]+ bytes.*"),
    ("invalid_argument", "/box", "must be left, top, right, bottom, .*"),
    ("invalid_argument", "/?after", "is no cursor .*"),
    ("invalid_argument", "/id", "differs from that of the path"),
    ("invalid_argument", "id", "begins with ~, .*"),
    ("missing_argument", "/[ab]/library", ".*"),  # a stored picture, where no library is the one searched
    ("missing_argument", "/(image|also/[0-9]+|not/[0-9]+)/library", ".*"),
    ("invalid_argument", "libraries", "must be of one kind"),
    ("too_many_items", "/filter", ".*"),
    ("unsupported_by_library", ".*", ".*"),
    ("missing_argument", "body", ".*"),  # a bulk call of blank lines
)


def chosen(text: str, *values: str) -> str:
    """One of the values, or the text itself, always the same for the same text."""
    return (*values, text)[sum(map(ord, text)) % (len(values) + 1)]


def with_real(value: Any, member: str = "") -> Any:
    """The value with real pictures and names, wherever they may stand in it."""
    if isinstance(value, dict):
        return {name: with_real(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [with_real(part, member) for part in value]
    return _REAL[member](value) if member in _REAL and isinstance(value, str) else value


_REAL: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: chosen(text, PICTURE, PICTURE, PICTURE),
    "url": lambda text: "http://127.0.0.1:9/" if re.match("(?i)https?:", text) else text,
    "picture": lambda text: chosen(text, *IDS),
    "library": lambda text: chosen(text, LIBRARY, LIBRARY, LIBRARY),
    "libraries": lambda text: chosen(text, LIBRARY, LIBRARY, LIBRARY),
    "pictures": lambda text: chosen(text, *IDS),
}


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Make a right request one that does something."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    operation = case.operation.definition.raw["operationId"]
    names = case.path_parameters
    if "library" in names and operation not in ("remove_library", "put_library"):
        names["library"] = chosen(str(names["library"]), LIBRARY, LIBRARY, LIBRARY)
    if names.get("library") == LIBRARY and operation == "remove_library":
        names["library"] = "gone"
    if "job" in names:
        names["job"] = chosen(str(names["job"]), "sweep", "sweep")
    if "id" in names:
        names["id"] = chosen(str(names["id"]), *IDS)
    if case.media_type == "application/json":
        case.body = with_real(case.body)


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Make lines of rows: the document says that they are text, and in ``contentSchema`` which."""
    for path in raw_schema["paths"].values():
        for call in path.values():
            for content in call.get("requestBody", {}).get("content", {}).values():
                content["schema"] = content.get("schema", {}).get("contentSchema", content.get("schema", {}))
                if content["schema"].get("type") == "array":
                    content["schema"]["maxItems"] = 20
                    content["example"] = [json.loads(line) for line in content["example"].splitlines()]


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A line a row."""
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(with_real(row)).encode() + b"\n" for row in rows)


@schemathesis.hook
def filter_failure(
    _context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Whether it is one: not if a right request breaks a rule that no schema can say, nor if what is wrong is a file."""
    if isinstance(failure, AcceptedNegativeData):
        return not (_only_a_file_is_wrong(case) or _is_rightly_absent(case, response))
    return not (
        isinstance(failure, RejectedPositiveData) and response.status_code == 400 and _is_beyond_schemas(response)
    )


def _only_a_file_is_wrong(case: schemathesis.Case[Any]) -> bool:
    """Whether a body is wrong that may be any bytes, or a form: links between calls put values of JSON into both.

    A file cannot be wrong, and what is no text in a form is sent as some.
    """
    if case.meta is None:
        return False
    types = (
        "image/",
        "application/octet-stream",
        *(["multipart/"] if case.meta.phase.name is TestPhase.STATEFUL else []),
    )
    wrong = {place for place, part in case.meta.components.items() if part.mode.is_negative}
    return (case.media_type or "").startswith(types) and wrong <= {ParameterLocation.BODY}


def _is_rightly_absent(case: schemathesis.Case[Any], response: schemathesis.Response) -> bool:
    """Whether a wrong body was not sent in the end, where none has to be."""
    body = case.operation.definition.raw.get("requestBody", {"required": True})
    return not body["required"] and not response.request.body


def _is_beyond_schemas(response: schemathesis.Response) -> bool:
    said = response.json()
    words = (said["code"], said.get("field", ""), said.get("detail", ""))
    return any(all(map(re.fullmatch, rule, words)) for rule in BEYOND_SCHEMAS)
