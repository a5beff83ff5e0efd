"""The calls of the native API: one table, from which routes and the API's document are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from lookalike.domain.application import Application, Permission
from lookalike.errors import UnknownOperation
from lookalike.ports import Ports
from lookalike.wire import forms
from lookalike.wire.dialect import Call
from lookalike.wire.http import Operation, Request, Route, RouteEntry, pattern, routes_of
from lookalike.wire.native import (
    BASE,
    about,
    answers,
    bulk,
    duplicates,
    job_answers,
    jobs,
    libraries,
    limits,
    pictures,
    requests,
    searching,
    session,
    uploads,
    written,
)
from lookalike.wire.native.dialect import NATIVE, Reply
from lookalike.wire.native.elsewhere import check_query
from lookalike.wire.native.problems import MethodNotAllowed

_LIBRARY = f"{BASE}/libraries/{{library}}"
_PICTURE = f"{_LIBRARY}/pictures/{{id}}"
_JOB = f"{BASE}/jobs/{{job}}"

Body: TypeAlias = Literal["json", "file", "ndjson"]
"""JSON; a picture in a form, as the file itself or in JSON; a line of JSON a row."""

Form: TypeAlias = Mapping[str, type[msgspec.Struct] | type[str]]
"""Fields of a form beside the file: one in JSON, and others as text."""


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
    ``may``: one of these a key must be permitted. ``refused`` are statuses of problems beyond those that every call may have. ``form`` goes with a body that may be a file.
    """

    operation: Operation
    method: str
    path: str
    call: Call[Request, Reply]
    said: Mapping[int, type[msgspec.Struct] | str | None]
    refused: Sequence[int] = ()
    given: type[msgspec.Struct] | None = None
    body: Body = "json"
    parameters: Sequence[Parameter] = ()
    form: Form = field(default_factory=dict)
    may: tuple[Permission, ...] | None = None

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """What a key must be permitted, one of them: by default what its function is named after."""
        if self.may is not None:
            return self.may
        return (Permission(self.operation),) if self.operation in tuple(Permission) else ()

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


def _form(beside: type[requests.DescriptionGiven]) -> Form:
    """Return the fields beside the file of a picture: what is said of it, in JSON or each as text."""
    return {"picture": beside, **dict.fromkeys(beside.__struct_fields__, str)}


def _one_of(*values: str) -> Mapping[str, object]:
    return {"type": "string", "enum": list(values)}


_IF_MATCH = Parameter(
    "If-Match",
    "ETag of the revision to change, with or without its quotes; any by default",
    {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}"|[0-9]{1,18})$'},
    where="header",
)
_IF_NONE_MATCH = Parameter("If-None-Match", "ETags that the caller has", where="header")
_IF_ABSENT = Parameter("If-None-Match", "*: put it only where there is none", _one_of("*"), where="header")
_DESCRIBED = (
    Parameter("brief", "What is said of the picture, where the body does not say it: its brief"),
    Parameter("tags", "Likewise: its tags, comma separated"),
    Parameter("label", f"Likewise: its label, as text of up to {limits.METADATA_BYTES['label']} bytes"),
    Parameter("desc", f"Likewise: its desc, as text of up to {limits.METADATA_BYTES['desc']} bytes"),
)
_ON_DUPLICATE = Parameter("on_duplicate", "Likewise", {**_one_of("return", "refuse", "update"), "default": "return"})
# Said where it is worth most. openapi-python-client 0.29 needs an optional parameter where a body has several types.
_ACCEPT = Parameter("Accept-Encoding", "gzip: long answers are compressed", where="header")
_NEAREST = Parameter(
    "nearest",
    "false: nothing but whether it is held, at the price of an add",
    {**_one_of("true", "false"), "default": "true"},
)
_STATE = Parameter("state", "Live pictures, or deleted ones", {**_one_of("live", "deleted"), "default": "live"})
_AFTER = Parameter("after", "next of the page before", {"type": "string", "pattern": requests.CURSOR_PATTERN})

CALLS: Sequence[NativeCall] = (
    NativeCall("groups", "GET", f"{BASE}/usage", about.usage, {200: answers.UsageSaid}, (),
               parameters=(Parameter("days", "Days, up to today", _whole(1, 400, 30)),), may=()),
    NativeCall("groups", "GET", f"{BASE}/index", about.index, {200: answers.IndexSaid}, may=()),
    NativeCall("groups", "GET", f"{BASE}/libraries", libraries.list_libraries, {200: answers.LibrariesSaid}),
    NativeCall("groups", "GET", _LIBRARY, libraries.get_library, {200: answers.LibrarySaid}, (404,),
               may=(Permission.GROUPS, Permission.ADD)),
    NativeCall("groups", "PUT", _LIBRARY, libraries.put_library,
               {201: answers.LibrarySaid, 200: answers.LibrarySaid}, (409,), requests.LibraryGiven),
    NativeCall("groups", "PATCH", _LIBRARY, libraries.change_library, {200: answers.LibrarySaid}, (404,),
               requests.LibraryChange),
    NativeCall("groups", "DELETE", _LIBRARY, libraries.remove_library, {204: None}, (404,)),
    NativeCall("groups", "GET", f"{_LIBRARY}/pictures", pictures.list_of_pictures, {200: answers.PicturesSaid}, (404,),
               parameters=(
                   _STATE,
                   Parameter("tag", "Tags that pictures must have, comma separated"),
                   _AFTER,
                   Parameter("limit", "Pictures in the page", _whole(1, 1000, 100)),
               )),
    NativeCall("groups", "GET", _PICTURE, pictures.get_picture, {200: answers.PictureSaid, 304: None}, (404, 409),
               parameters=(_IF_NONE_MATCH,), may=(Permission.SEARCH,)),
    NativeCall("groups", "GET", f"{_PICTURE}/image", pictures.get_image, {200: "image/*", 304: None, 307: None},
               (404, 409),
               parameters=(
                   Parameter("size", "thumb: 320 pixels; view: 1600 pixels; original: as it came",
                             {**_one_of("thumb", "view", "original"), "default": "original"}),
                   _STATE,
                   Parameter("v", "The picture's revision: then the answer may be kept for a year"),
                   _IF_NONE_MATCH,
               ), may=(Permission.SEARCH,)),
    NativeCall("groups", "POST", f"{_LIBRARY}/duplicates", duplicates.find_duplicates,
               {201: job_answers.JobSaid, 200: job_answers.JobSaid}, (404,)),
    NativeCall("groups", "GET", f"{_LIBRARY}/duplicates", duplicates.list_duplicates, {200: job_answers.DuplicatesSaid},
               (404,),
               parameters=(
                   Parameter("level", "identical: the same pixels; same: proved as well; similar: near as well",
                             {**_one_of("same", "identical", "similar"), "default": "same"}),
                   _AFTER,
                   Parameter("limit", "Clusters in the page", _whole(1, limits.MAX_CLUSTERS, limits.DEFAULT_CLUSTERS)),
               )),
    NativeCall("groups", "POST", f"{_LIBRARY}/duplicates/dismiss", duplicates.dismiss_duplicates, {204: None},
               (404, 409), requests.DismissGiven),
    NativeCall("groups", "POST", f"{_LIBRARY}/duplicates/reconsider", duplicates.reconsider_duplicates, {204: None},
               (404, 409), requests.DismissGiven),
    NativeCall("groups", "GET", f"{BASE}/jobs", jobs.list_of_jobs, {200: job_answers.JobsSaid}),
    NativeCall("groups", "PUT", _JOB, jobs.put_job, {201: job_answers.JobSaid, 200: job_answers.JobSaid},
               (404, 409), requests.JobGiven),
    NativeCall("groups", "GET", _JOB, jobs.get_job, {200: job_answers.JobSaid}, (404,)),
    NativeCall("groups", "POST", f"{_JOB}/pause", jobs.pause_job, {200: job_answers.JobSaid}, (404, 409)),
    NativeCall("groups", "POST", f"{_JOB}/resume", jobs.resume_job, {200: job_answers.JobSaid}, (404, 409)),
    NativeCall("groups", "POST", f"{_JOB}/cancel", jobs.cancel_job, {200: job_answers.JobSaid}, (404, 409)),
    NativeCall("groups", "GET", f"{_JOB}/report", jobs.get_report, {200: job_answers.ReportSaid}, (404,)),
    NativeCall("add", "POST", f"{_LIBRARY}/pictures", pictures.add_picture,
               {201: written.AddedSaid, 200: written.AddedSaid}, (404, 409, 410, 422), requests.PictureGiven, "file",
               (*_DESCRIBED, _ON_DUPLICATE, Parameter("id", "Likewise: your id, in libraries with identity own")),
               _form(requests.MetadataGiven)),
    NativeCall("add", "PUT", _PICTURE, pictures.put_picture,
               {201: written.AddedSaid, 200: written.AddedSaid}, (404, 409, 410, 412, 422), requests.PutGiven, "file",
               (*_DESCRIBED, _IF_MATCH, _IF_ABSENT), _form(requests.DescriptionGiven)),
    NativeCall("add", "POST", f"{_LIBRARY}/bulk", bulk.bulk, {200: bulk.CONTENT_TYPE}, (404,), requests.RowGiven,
               "ndjson", may=(Permission.ADD, Permission.UPDATE, Permission.DELETE)),
    NativeCall("add", "POST", uploads.PATH, uploads.offer_upload, {201: uploads.UploadSaid},
               may=(Permission.ADD, Permission.SEARCH)),
    NativeCall("update", "PATCH", _PICTURE, pictures.change_picture, {200: written.WrittenSaid},
               (404, 409, 412), requests.PictureChange, parameters=(_IF_MATCH,)),
    NativeCall("add", "POST", f"{_PICTURE}/restore", pictures.restore_picture, {200: written.WrittenSaid},
               (404, 409, 412), parameters=(_IF_MATCH,)),
    NativeCall("delete", "DELETE", _PICTURE, pictures.delete_picture, {204: None}, (404, 409, 412),
               parameters=(_IF_MATCH,)),
    NativeCall("search", "POST", f"{_LIBRARY}/search", searching.search_library, {200: answers.FoundSaid},
               (404, 409, 410, 422), requests.SearchGiven, "file", (_ACCEPT,),
               {"search": requests.SearchOptionsGiven}),
    NativeCall("search", "POST", f"{_LIBRARY}/check", searching.check_picture, {200: answers.CheckSaid},
               (404, 409, 410, 422), requests.CheckGiven, "file", (_NEAREST, _ACCEPT)),
    NativeCall("search", "POST", f"{BASE}/search", searching.search_several, {200: answers.FoundSaid},
               (404, 409, 410, 422),
               requests.SearchManyGiven),
    NativeCall("search", "POST", f"{BASE}/compare", searching.compare_pictures, {200: answers.ComparedSaid},
               (404, 409, 410, 422),
               requests.CompareGiven),
    NativeCall("token", "POST", session.PATH, session.sign_in, {204: None}, (403,), session.SignInGiven),
    NativeCall("token", "GET", session.PATH, session.get_session, {200: session.SessionSaid}, ()),
    NativeCall("token", "DELETE", session.PATH, session.sign_out, {204: None}, (403,)),
)  # fmt: skip


def routes(operation: Operation) -> Sequence[Route]:
    """Routes of the function ``operation`` (groups, add, update, delete, search, unknown)."""
    return routes_of(operation, ROUTES)


def _error_elsewhere(request: Request) -> Exception:
    """Return the error of a request that no call answers: another method would do, or nothing would."""
    known = [(call.method, call.path) for call in CALLS] + [(row.method, row.path) for row in about.PUBLIC_ROUTES]
    allowed = sorted({method for method, path in known if pattern(path).fullmatch(request.path)})
    if allowed:
        return MethodNotAllowed(request.path, ", ".join(allowed))
    remedy = _SLASH if "%2f" in request.raw_path.lower() else None
    return UnknownOperation(request.path, remedy=remedy)


#: What helps where a path has a slash in an id.
_SLASH = "an id with a slash stands in a path as ~ and its base64url; self says it"


def _strict(call: NativeCall) -> Call[Request, Reply]:
    """Return the function that answers a call, for queries of parameters that the call takes."""
    known = tuple(one.name for one in call.parameters if one.where == "query")

    def answer(ports: Ports, application: Application, request: Request) -> Reply:
        check_query(forms.query(request).values, known, searches=call.operation == "search")
        return call.call(ports, application, request)

    return answer


_elsewhere = NATIVE.refusing(_error_elsewhere)

ROUTES = (
    *(
        RouteEntry(call.operation, call.method, call.path, NATIVE.endpoint(_strict(call), *call.permissions))
        for call in CALLS
        if call.path != session.PATH
    ),
    *session.ROUTES,
    *about.PUBLIC_ROUTES,
    RouteEntry("unknown", "*", "/api", _elsewhere),
    RouteEntry("*", "*", "/api/{rest+}", _elsewhere),
)
