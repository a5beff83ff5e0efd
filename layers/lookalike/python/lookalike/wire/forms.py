"""Bodies as they really arrive: multipart, JSON, or a form whatever its type says, in UTF-8 or GB18030.

Every way ends in a :class:`Form`: fields by name, the first of a name, values as bytes. A picture of 4 MiB is
one of these values and never becomes text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lookalike.errors import InvalidArgument
from lookalike.wire import percent
from lookalike.wire.http import Request

#: Most fields of a form; no client sends as many.
MAX_FIELDS = 100

#: Longest head of a part of a multipart body, in bytes; no client writes as much.
_MAX_PART_HEAD = 4096

#: A byte order mark, as .NET writes it before any text.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: A surrogate as CESU-8 has it, which is not UTF-8.
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")

#: Stands where the gateway handed over text that was not UTF-8.
_REPLACEMENT = "\ufffd".encode()

_BLANK = b" \t\r\n" + _BYTE_ORDER_MARK


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by name. An empty value counts as absent everywhere but in ``in``."""

    values: Mapping[str, bytes]

    def __contains__(self, name: str) -> bool:
        """True if the field was sent, even empty."""
        return name in self.values

    def data(self, name: str) -> bytes:
        """The value as it was sent; empty if absent."""
        return self.values.get(name, b"")

    def text(self, name: str) -> str:
        """The value as text; empty if absent. Raises InvalidArgument if it is none, or holds a NUL."""
        text = text_of(name, self.data(name))
        if "\0" in text:
            raise InvalidArgument(name, "must not hold a NUL character")
        return text

    def integer(self, name: str, *, least: int, most: int | None = None, default: int) -> int:
        """The number a field says; ``default`` if it is blank. Raises InvalidArgument if it is none, or out of range."""
        text = self.text(name).strip()
        if not text:
            return default
        number = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
        if number is None or number < least or (most is not None and number > most):
            limits = f"{least} or more" if most is None else f"from {least} to {most}"
            raise InvalidArgument(name, f"must be a whole number, {limits}")
        return number


class RequestForms:
    """The fields of a request's query and of its body, each parsed once, when they are first asked for."""

    def __init__(self, request: Request) -> None:
        self.request = request

    @cached_property
    def query(self) -> Form:
        """The fields of the query. Raises InvalidArgument."""
        return query(self.request)

    @cached_property
    def body(self) -> Form:
        """The fields of the body. Raises InvalidArgument."""
        return body(self.request)


def text_of(name: str, data: bytes) -> str:
    """The text in UTF-8 or CESU-8, or else in GB18030. Raises InvalidArgument.

    CESU-8 is UTF-8 with a surrogate at a time, as Java and old databases write emoji; GB18030 is what hand-written
    clients on Chinese Windows send.
    """
    with suppress(UnicodeDecodeError):
        return data.decode()
    if _SURROGATE.search(data):
        with suppress(UnicodeDecodeError):
            return _joined(name, data.decode("utf-8", "surrogatepass"))
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError as reason:
        raise InvalidArgument(name, "neither UTF-8 nor GB18030") from reason


def _joined(name: str, text: str) -> str:
    """The text with its surrogates joined in pairs. Raises InvalidArgument if one is left."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason


def query(request: Request) -> Form:
    """The fields of the request's query. Raises InvalidArgument."""
    return urlencoded(request.raw_query.encode("utf-8", "surrogatepass"))


def body(request: Request) -> Form:
    """The fields of the request's body. Raises InvalidArgument."""
    content = request.content()
    if request.as_text and _REPLACEMENT in content:
        raise InvalidArgument("body", "not UTF-8")
    return read(request.headers.get("content-type", ""), content)


def query_and_body(request: Request) -> Form:
    """The fields of both; of a name in both, the body's. Raises InvalidArgument."""
    return Form({**query(request).values, **body(request).values})


def read(content_type: str, body: bytes) -> Form:
    """The fields of a body.

    Multipart if the type says so and names a boundary; JSON if the type says so and an object begins; a form
    otherwise. A byte order mark before it is passed over. Raises InvalidArgument if the body cannot be read or has more
    than MAX_FIELDS fields.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    boundary = boundary_of(content_type)
    if boundary is not None:
        return _first_of_each(_multipart(boundary, body))
    if "json" in content_type.lower() and body.lstrip(_BLANK).startswith(b"{"):
        return _first_of_each(_json(body))
    return urlencoded(body)


def urlencoded(data: bytes) -> Form:
    """The fields of a form body, or of a query. A key without ``=`` is a field with an empty value."""
    pieces = data.split(b"&", MAX_FIELDS)
    if len(pieces) > MAX_FIELDS:
        raise InvalidArgument("body", f"more than {MAX_FIELDS} fields")
    pairs = (piece.partition(b"=") for piece in pieces if piece)
    return _first_of_each((_name(_unescape(name)), _unescape(value)) for name, _, value in pairs)


def _unescape(value: bytes) -> bytes:
    return percent.decoded(value.replace(b"+", b" "))


def _name(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def _first_of_each(pairs: Iterable[tuple[str, bytes]]) -> Form:
    values: dict[str, bytes] = {}
    for name, value in pairs:
        values.setdefault(name, value)
    return Form(values)


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart type (RFC 2046 section 5.1.1)."""
    # One vendor's document names a type that does not exist, and clients believe it.
    if not content_type.strip().lower().startswith(("multipart/", "application/form-data")):
        return None
    found = re.search(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', content_type, re.IGNORECASE)
    return (found[1] or found[2]).encode("utf-8", "replace") if found else None


def _multipart(boundary: bytes, body: bytes) -> Iterator[tuple[str, bytes]]:
    # A delimiter begins a line, so the body's first one needs a line's end before it.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_FIELDS + 2)
    for number, part in enumerate(parts[1:]):
        if part.startswith(b"--"):
            return
        if number == MAX_FIELDS:
            raise InvalidArgument("body", f"more than {MAX_FIELDS} fields")
        rest = part.lstrip(b" \t")
        end = rest.find(b"\r\n\r\n", 0, _MAX_PART_HEAD)
        if end < 0 or not rest.startswith(b"\r\n"):
            raise InvalidArgument("body", "a part of the multipart form cannot be read")
        yield _part_name(rest[:end]), rest[end + 4 :]
    raise InvalidArgument("body", "the multipart form breaks off")


def _part_name(head: bytes) -> str:
    found = re.search(
        rb'^content-disposition:[^\r\n]*?[;\s]name=(?:"([^"\r\n]*)"|([^\s;"]+))', head, re.IGNORECASE | re.MULTILINE
    )
    if found is None:
        raise InvalidArgument("body", "a part of the multipart form has no name")
    return _name(found[1] if found[1] is not None else found[2])


def _json(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The object's strings, numbers as they were written and booleans; null counts as absent."""
    text = text_of("body", body.strip(_BLANK))
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as reason:
        raise InvalidArgument("body", "not JSON") from reason
    if len(pairs) > MAX_FIELDS:
        raise InvalidArgument("body", f"more than {MAX_FIELDS} fields")
    for name, value in pairs:
        if value is not None:
            yield name, _json_value(name, value)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated names and all."""


def _json_value(name: str, value: object) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if not isinstance(value, str):
        raise InvalidArgument(name, "neither text nor a number")
    try:
        return value.encode()
    except UnicodeEncodeError as reason:
        raise InvalidArgument(name, "half a surrogate pair") from reason
