"""The calls of the native API: one table, from which routes and the API's document are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from lookalike.errors import UnknownOperation
from lookalike.wire.dialect import Call
from lookalike.wire.http import Operation, Request, Route, RouteEntry, pattern, routes_of
from lookalike.wire.native import about, answers, bulk, libraries, pictures, requests, searching, session
from lookalike.wire.native.dialect import NATIVE, Reply
from lookalike.wire.native.problems import MethodNotAllowed

#: Where the API begins.
BASE = "/api/v1"

_LIBRARY = f"{BASE}/libraries/{{library}}"
_PICTURE = f"{_LIBRARY}/pictures/{{id}}"

Body: TypeAlias = Literal["json", "picture", "ndjson"]
"""JSON; a picture as multipart, as the file itself or in JSON; a line of JSON a row."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query or, with ``where``, a header; ``schema`` is JSON Schema."""

    name: str
    about: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    where: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A call: the function that answers it, where, and what it takes and answers with.

    ``said`` are schemas of answers by status: None for an answer without a body, a text for a media type of a file.
    ``problems`` are codes of problems beyond those that every call may have.
    """

    operation: Operation
    method: str
    path: str
    call: Call[Request, Reply]
    said: Mapping[int, type[msgspec.Struct] | str | None]
    given: type[msgspec.Struct] | None = None
    body: Body = "json"
    parameters: Sequence[Parameter] = ()

    @property
    def name(self) -> str:
        """Name of the call, which clients that are generated have."""
        return getattr(self.call, "__name__", "")

    @property
    def about(self) -> str:
        """The call in a sentence or two."""
        return " ".join((self.call.__doc__ or "").split())


def _whole(least: int, most: int, default: int) -> Mapping[str, object]:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


_IF_MATCH = Parameter("If-Match", "ETag of the revision to change; any by default", where="header")
_IF_NONE_MATCH = Parameter("If-None-Match", "ETags that the caller has", where="header")
_FILE_SAID = (
    Parameter("brief", "With the file itself as body: what is said of the picture"),
    Parameter("tags", "Likewise; comma separated"),
    Parameter("on_duplicate", "Likewise", {"type": "string", "enum": ["return", "refuse", "update"]}),
)

CALLS: Sequence[NativeCall] = (
    NativeCall("groups", "GET", f"{BASE}/usage", about.usage, {200: answers.UsageSaid},
               parameters=(Parameter("days", "Days, up to today", _whole(1, 400, 30)),)),
    NativeCall("groups", "GET", f"{BASE}/libraries", libraries.list_libraries, {200: answers.LibrariesSaid}),
    NativeCall("groups", "GET", _LIBRARY, libraries.get_library, {200: answers.LibrarySaid}),
    NativeCall("groups", "PUT", _LIBRARY, libraries.put_library,
               {201: answers.LibrarySaid, 200: answers.LibrarySaid}, requests.LibraryGiven),
    NativeCall("groups", "PATCH", _LIBRARY, libraries.change_library, {200: answers.LibrarySaid}, requests.LibraryChange),
    NativeCall("groups", "DELETE", _LIBRARY, libraries.remove_library, {204: None}),
    NativeCall("groups", "GET", f"{_LIBRARY}/pictures", pictures.list_of_pictures, {200: answers.PicturesSaid},
               parameters=(
                   Parameter("state", "Live pictures, or deleted ones", {"type": "string", "enum": ["live", "deleted"]}),
                   Parameter("tag", "Tags that pictures must have, comma separated"),
                   Parameter("after", "next of the page before"),
                   Parameter("limit", "Pictures in the page", _whole(1, 1000, 100)),
               )),
    NativeCall("groups", "GET", _PICTURE, pictures.get_picture, {200: answers.PictureSaid, 304: None},
               parameters=(_IF_NONE_MATCH,)),
    NativeCall("groups", "GET", f"{_PICTURE}/image", pictures.get_image, {200: "image/*", 304: None},
               parameters=(
                   Parameter("size", "thumb: 320 pixels; view: 1600 pixels; original: as it came",
                             {"type": "string", "enum": ["thumb", "view", "original"], "default": "original"}),
                   Parameter("state", "deleted: of a picture that is deleted", {"type": "string", "enum": ["live", "deleted"]}),
                   Parameter("v", "The picture's revision: then the answer may be kept for a year"),
                   _IF_NONE_MATCH,
               )),
    NativeCall("add", "POST", f"{_LIBRARY}/pictures", pictures.add_picture,
               {201: answers.AddedSaid, 200: answers.AddedSaid}, requests.PictureGiven, "picture",
               (*_FILE_SAID, Parameter("id", "Likewise: your id, in libraries with identity own"))),
    NativeCall("add", "PUT", _PICTURE, pictures.put_picture,
               {201: answers.AddedSaid, 200: answers.AddedSaid}, requests.PictureGiven, "picture",
               (*_FILE_SAID, _IF_MATCH)),
    NativeCall("add", "POST", f"{_LIBRARY}/bulk", bulk.bulk, {200: bulk.CONTENT_TYPE}, requests.RowGiven, "ndjson"),
    NativeCall("update", "PATCH", _PICTURE, pictures.change_picture, {200: answers.PictureSaid},
               requests.PictureChange, parameters=(_IF_MATCH,)),
    NativeCall("add", "POST", f"{_PICTURE}/restore", pictures.restore_picture, {200: answers.PictureSaid},
               parameters=(_IF_MATCH,)),
    NativeCall("delete", "DELETE", _PICTURE, pictures.delete_picture, {204: None}, parameters=(_IF_MATCH,)),
    NativeCall("search", "POST", f"{_LIBRARY}/search", searching.search_library, {200: answers.FoundSaid},
               requests.SearchGiven),
    NativeCall("search", "POST", f"{_LIBRARY}/check", searching.check_picture, {200: answers.CheckSaid},
               requests.CheckGiven),
    NativeCall("search", "POST", f"{BASE}/search", searching.search_several, {200: answers.FoundSaid},
               requests.SearchManyGiven),
    NativeCall("search", "POST", f"{BASE}/compare", searching.compare_pictures, {200: answers.ComparedSaid},
               requests.CompareGiven),
    NativeCall("token", "POST", session.PATH, session.sign_in, {204: None}, session.SignInGiven),
    NativeCall("token", "GET", session.PATH, session.get_session, {200: session.SessionSaid}),
    NativeCall("token", "DELETE", session.PATH, session.sign_out, {204: None}),
)  # fmt: skip


def routes(operation: Operation) -> Sequence[Route]:
    """Routes of the function ``operation`` (groups, add, update, delete, search, unknown)."""
    return routes_of(operation, ROUTES)


def _error_elsewhere(request: Request) -> Exception:
    """Return the error of a request that no call answers: another method would do, or nothing would."""
    allowed = sorted({call.method for call in CALLS if pattern(call.path).fullmatch(request.path)})
    return MethodNotAllowed(request.path, ", ".join(allowed)) if allowed else UnknownOperation(request.path)


_elsewhere = NATIVE.refusing(_error_elsewhere)

ROUTES = (
    *(
        RouteEntry(call.operation, call.method, call.path, NATIVE.endpoint(call.call))
        for call in CALLS
        if call.path != session.PATH
    ),
    *session.ROUTES,
    *about.PUBLIC_ROUTES,
    RouteEntry("unknown", "*", "/api", _elsewhere),
    RouteEntry("*", "*", "/api/{rest+}", _elsewhere),
)
