"""The Qiniu dialect: image groups, whose pictures have the ids their callers give them.

Errors are real HTTP statuses. Every answer is JSON in UTF-8 with an ``X-Reqid``, without which one of the vendor's
SDKs takes the server for another's; label and desc go back as they came.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from lookalike import errors
from lookalike.domain import exact_json
from lookalike.domain.application import Application
from lookalike.domain.exact_json import Number, Value, quoted
from lookalike.domain.library import Library, LibraryRef
from lookalike.domain.picture import Metadata, Picture
from lookalike.domain.search import Candidate, Match
from lookalike.errors import (
    ArgumentTooLong,
    InvalidArgument,
    LibraryNotFound,
    PictureNotFound,
    TooManyItems,
    UnknownOperation,
    UrlLengthError,
)
from lookalike.imaging.decode import Bounds
from lookalike.observability import count, fail, log_failure, logger, why
from lookalike.ports import Ports
from lookalike.service.add import Add
from lookalike.service.add_many import Outcome, add_all
from lookalike.service.admission import Callers, admit, check_rate
from lookalike.service.delete import Delete, delete
from lookalike.service.groups import group_names, list_pictures, name_of, picture_in, remove_group
from lookalike.service.image_source import Source
from lookalike.service.libraries import create_library, find_library, is_library_name, library_ref
from lookalike.service.search import MAX_FOUND, SearchGroups, search_groups
from lookalike.wire import base64_image as pictures
from lookalike.wire import forms
from lookalike.wire.http import Answer, Endpoint, Request, Route, ascii_json
from lookalike.wire.qiniu import label_codec
from lookalike.wire.qiniu import signature as qiniu_auth


class NothingGiven(InvalidArgument):
    """A search without a picture."""


class WrongLimit(InvalidArgument):
    """More results than there are for anybody."""


class WrongThreshold(InvalidArgument):
    """A threshold that no score can have."""


class NoGroups(InvalidArgument):
    """A search in no group."""


class TooManyGroups(InvalidArgument):
    """A search in more groups than are searched at a time."""


class UnknownScheme(InvalidArgument):
    """A picture's address of a kind that is not known."""


#: Groups of one search, whose pictures are then ranked together.
_MAX_GROUPS = 2

#: What goes wrong, in the vendor's codes and words; ``{0}`` is the error. A code of three digits is the HTTP status, one
#: of seven begins with it. An error that is not here is answered as the class it derives from.
ERRORS: Mapping[type[BaseException], tuple[int, str]] = {
    errors.LibraryExists: (400, "group already exists"),
    errors.LibraryNotFound: (400, "group {0.name} not exists"),
    errors.LibraryFull: (400, "group is full"),
    errors.PictureExists: (400, "id already exists"),
    errors.PictureNotFound: (400, "image {0.name} not exists"),
    errors.AccessError: (401, "bad token"),
    errors.UnknownOperation: (404, "not found"),
    errors.LimitReached: (429, "too many requests"),
    NothingGiven: (406, "no enough arguments provided"),
    WrongLimit: (406, f"invalid limit, maximal allowed limit is {MAX_FOUND}"),
    WrongThreshold: (406, "invalid threshold"),
    NoGroups: (406, "groups is empty"),
    TooManyGroups: (406, f"cannot search in more than {_MAX_GROUPS} groups at one time"),
    errors.ArgumentTooLong: (406, "{0.name} too long"),
    errors.InvalidArgument: (4000100, "bad arguments"),
    errors.SignAmbiguous: (4000100, "bad arguments"),
    UnknownScheme: (4000201, "uri not supported"),
    errors.BadEncoding: (4000202, "bad uri"),
    errors.UrlIllegal: (4000202, "bad uri"),
    errors.UrlLengthError: (4000202, "bad uri"),
    errors.UrlError: (4000203, "fetch failed"),
    errors.UrlTimeout: (4000204, "fetch timeout"),
    errors.OutOfTime: (4000204, "fetch timeout"),
    errors.UrlAnswerTooLong: (4000302, "image size not supported"),
    errors.PictureSizeError: (4000302, "image size not supported"),
    errors.PictureError: (4150301, "not a supported image"),
    Exception: (5000900, "internal error"),
}

#: The code that is our own failure: its traceback is logged, and an alarm counts it.
_OUR_FAILURE = 5000900

#: What a picture may be: by URL, 10 MB. What comes in a request's body is bounded before by what a request may be.
_BOUNDS = Bounds(
    max_bytes=10 * 1024 * 1024,
    min_side=30,
    max_side=4999,
    max_pixels=4999 * 4999,
    formats=frozenset({"JPEG", "PNG", "BMP", "WEBP", "GIF"}),
)
_MAX_BASE64 = -(-_BOUNDS.max_bytes // 3) * 4

#: No bound is documented. Addresses of pictures that are made anew while they are fetched are the longest.
_MAX_URI_BYTES = 4096

#: Longest metadata, in bytes of UTF-8; what is not text counts as JSON.
METADATA_BYTES = {"label": 512, "desc": 4096}
_MAX_DELETED = 1000
_MAX_LISTED = 1000

#: Pictures not added after so many seconds are answered as not fetched in time; the gateway waits for 30.
_ADDING_SECONDS = 25.0

#: Reasons for which pictures of one call were refused, in one line of the log.
_MAX_REASONS = 20

#: Bytes of results in one answer, as the event carries them: Lambda takes 6 MB of answer, envelope and all.
_ROOM = 5_500_000

Work = Callable[[Ports, Request, Application], str]


def routes(operation: str) -> Sequence[Route]:
    """What the function ``operation`` (groups, add, delete, search, unknown) answers."""
    return (*_OWN[operation], *_ELSEWHERE)


# -- Groups ------------------------------------------------------------------------------------------------------------


def _new(ports: Ports, request: Request, application: Application) -> str:
    ref = library_ref(application, request.arguments["group"])
    elements = _elements(ports, request)
    return _added(ports, request, create_library(ports, ref), ref, elements)


def _remove(ports: Ports, request: Request, application: Application) -> str:
    if is_library_name(request.arguments["group"]):
        remove_group(ports, application.tenant, request.arguments["group"])
    return "{}"


def _list(ports: Ports, _request: Request, application: Application) -> str:
    names, _ = _fitting(ports, "groups", map(quoted, group_names(ports, application.tenant)))
    return f'{{"code":0,"message":"","result":[{",".join(names)}]}}'


def _info(ports: Ports, request: Request, application: Application) -> str:
    return json.dumps({"count": ports.index.count(_group(ports, request, application).uid)})


# -- Pictures ----------------------------------------------------------------------------------------------------------


def _add(ports: Ports, request: Request, application: Application) -> str:
    elements = _elements(ports, request)
    library = _group(ports, request, application)
    return _added(ports, request, library, library_ref(application, library.name), elements)


def _added(ports: Ports, request: Request, library: Library, ref: LibraryRef, elements: Sequence[Value]) -> str:
    commands = [_command(ref, element) for element in elements]
    outcomes = iter(add_all(ports, library, [one for one in commands if isinstance(one, Add)], _ADDING_SECONDS))
    facts = {"library": library.name, "request_id": request.id}
    images, failures = [], []
    refused: dict[str, _Refused] = {}
    for number, command in enumerate(commands):
        outcome: Outcome = next(outcomes) if isinstance(command, Add) else command
        if isinstance(outcome, Picture):
            images.append(quoted(name_of(library, outcome)))
            failures.append("null")
        else:
            code, message = _said(outcome, facts)
            refused.setdefault(str(why(outcome)), _Refused(outcome, number)).pictures += 1
            fail(ports.settings, "request", int(code == _OUR_FAILURE))  # the call as a whole does not fail
            images.append('""')
            failures.append(json.dumps({"code": code, "message": message}))
    if refused:
        told = [one.facts() for one in islice(refused.values(), _MAX_REASONS)]
        logger.info("pictures refused", extra={**facts, "refused": told})
    return f'{{"images":[{",".join(images)}],"errors":[{",".join(failures)}]}}'


@dataclass(slots=True)
class _Refused:
    """Pictures of one call that were refused for the same reason; ``first`` is the first one's place in the list."""

    error: Exception
    first: int
    pictures: int = 0

    def facts(self) -> Mapping[str, Any]:
        """What the log says of them."""
        outcome = type(self.error).__name__
        return {"outcome": outcome, **why(self.error), "pictures": self.pictures, "first": self.first}


def _delete(ports: Ports, request: Request, application: Application) -> str:
    named = _body(request).get("images")
    if not isinstance(named, list):
        raise InvalidArgument("images", "must be a list of ids")
    if len(named) > _MAX_DELETED:
        raise TooManyItems("images", f"more than {_MAX_DELETED} of them")
    names = tuple(_text("images", one) for one in named)
    library = _group(ports, request, application)
    with suppress(PictureNotFound):  # this vendor does not mind
        delete(ports, Delete(library_ref(application, library.name), names))
    return "{}"


def _pictures(ports: Ports, request: Request, application: Application) -> str:
    query = forms.query(request)
    limit = query.text("limit") or str(_MAX_LISTED)
    if not re.fullmatch(r"[0-9]{1,4}", limit) or not 1 <= int(limit) <= _MAX_LISTED:
        raise InvalidArgument("limit", f"must be a whole number, from 1 to {_MAX_LISTED}")
    library = _group(ports, request, application)
    listing = list_pictures(ports, library, _read_marker(library, query.text("marker")), int(limit))
    shown, cut = _fitting(ports, "groups", (_listed(library, picture) for picture in listing.pictures))
    after = listing.pictures[len(shown) - 1].key.id if cut else listing.after
    marker = "" if after is None else _marker(library, after)
    return f'{{"code":0,"message":"","marker":"{marker}","result":[{",".join(shown)}]}}'


def _picture(ports: Ports, request: Request, application: Application) -> str:
    name = _text("id", _body(request).get("id"))
    return f"{{{_words(picture_in(ports, _group(ports, request, application), name))}}}"


def _listed(library: Library, picture: Picture) -> str:
    return f'{{"id":{quoted(name_of(library, picture))},"value":{{{_words(picture)}}}}}'


def _words(picture: Picture | Candidate) -> str:
    """What is said of a picture. One that another vendor's client added has a brief instead of a desc."""
    metadata = picture.metadata
    return f'"label":{label_codec.shown(metadata.label)},"desc":{metadata.desc or quoted(metadata.brief)}'


# -- Search ------------------------------------------------------------------------------------------------------------


def _search(ports: Ports, request: Request, application: Application) -> str:
    return _found(ports, request, application, None)


def _search_one(ports: Ports, request: Request, application: Application) -> str:
    return _found(ports, request, application, request.arguments["group"])


def _found(ports: Ports, request: Request, application: Application, group: str | None) -> str:
    """Search in that one group, as the vendor's older call does; None: in those that the body names."""
    body = _body(request)
    params = _object("params", body.get("params"))
    source = _source(
        _text("uri", _object("data", body.get("data")).get("uri"), default=""), NothingGiven("uri", "missing")
    )
    limit, threshold = _limit(params.get("limit")), _threshold(params.get("threshold"))
    names = _group_names(params.get("groups")) if group is None else [group]
    libraries = {library.uid: library for library in (_library(ports, application, name) for name in names)}
    matches = search_groups(
        ports,
        SearchGroups(tuple(libraries.values()), source, limit, max(threshold, ports.settings.group_threshold)),
    )
    results = (_result(libraries[match.candidate.key.library], match, group is None) for match in matches)
    shown, _ = _fitting(ports, "search", results)
    return f'{{"code":0,"message":"","result":[{",".join(shown)}]}}'


def _result(library: Library, match: Match, several: bool) -> str:
    picture = match.candidate
    where = f',"group":{quoted(library.name)}' if several else ""
    return f'{{"id":{quoted(name_of(library, picture))},{_words(picture)},"score":{match.score!r}{where}}}'


def _limit(value: Value) -> int:
    """How many results: one if nothing is said, all that there may be if the number is negative."""
    if value is None:
        return 1
    if not isinstance(value, Number) or not re.fullmatch(r"-?[0-9]+", value.text):
        raise InvalidArgument("limit", "must be a whole number")
    if value.text.startswith("-"):
        return MAX_FOUND if value.text.strip("-0") else 1
    digits = value.text.lstrip("0")
    if len(digits) > len(str(MAX_FOUND)) or int(digits or "0") > MAX_FOUND:
        raise WrongLimit("limit", f"more than {MAX_FOUND}")
    return max(int(digits or "0"), 1)


def _threshold(value: Value) -> float:
    if value is None:
        return 0.0
    if not isinstance(value, Number):
        raise InvalidArgument("threshold", "must be a number, from 0 to 1")
    threshold = float(value.text)
    if not 0 <= threshold <= 1:
        raise WrongThreshold("threshold", "must be a number, from 0 to 1")
    return threshold


def _group_names(value: Value) -> list[str]:
    if value is None or value == []:
        raise NoGroups("groups", "empty")
    if not isinstance(value, list):
        raise InvalidArgument("groups", "must be a list of names")
    names = list(dict.fromkeys(_text("groups", one) for one in value))
    if len(names) > _MAX_GROUPS:
        raise TooManyGroups("groups", f"more than {_MAX_GROUPS} of them")
    return names


# -- What requests say -------------------------------------------------------------------------------------------------


def _group(ports: Ports, request: Request, application: Application) -> Library:
    """The group of the path. Raises LibraryNotFound."""
    return _library(ports, application, request.arguments["group"])


def _library(ports: Ports, application: Application, name: str) -> Library:
    if not is_library_name(name):
        raise LibraryNotFound(name)
    return find_library(ports, application.tenant, name)


def _body(request: Request) -> Mapping[str, Value]:
    """The object in the body, whatever its type says. Raises InvalidArgument."""
    return _object("body", exact_json.read(request.content()))


def _object(name: str, value: Value) -> Mapping[str, Value]:
    """The value, if it is an object; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(name, "must be an object")
    return value


def _text(name: str, value: Value, default: str | None = None) -> str:
    """The value, if it is text that UTF-8 can say."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not exact_json.is_text(value):
        raise InvalidArgument(name, "must be text")
    return value


def _elements(ports: Ports, request: Request) -> list[Value]:
    """What stands for pictures to be added. Raises InvalidArgument."""
    data = _body(request).get("data")
    if not isinstance(data, list):
        raise InvalidArgument("data", "must be a list of pictures")
    if len(data) > ports.settings.batch_pictures:
        raise TooManyItems(
            "data",
            f"more than {ports.settings.batch_pictures} pictures",
            remedy="LOOKALIKE_BATCH_PICTURES says how many one call may add",
        )
    return data


def _command(ref: LibraryRef, element: Value) -> Add | Exception:
    """What an element of the list asks for, or what is wrong with it, which is no matter of the others."""
    try:
        said = _object("data", element)
        attribute = _object("attribute", said.get("attribute"))
        id_ = _text("id", attribute.get("id"), default="")
        label = label_codec.kept(attribute.get("label", ""))
        desc = exact_json.compact(attribute["desc"]) if "desc" in attribute else ""
        for name, size in (("label", label_codec.size(label)), ("desc", len(desc.encode()))):
            if size > METADATA_BYTES[name]:
                raise ArgumentTooLong(name, f"more than {METADATA_BYTES[name]} bytes")
        source = _source(_text("uri", said.get("uri"), default=""), InvalidArgument("uri", "missing"))
        return Add(ref, source, Metadata(label=label, desc=desc), id_ or None)
    except errors.LookalikeError as error:
        return error


def _source(uri: str, missing: Exception) -> Source:
    """Where a picture comes from. Raises ``missing`` if nothing is said."""
    uri = uri.strip()
    scheme = uri[:8].partition(":")[0].lower()
    if not uri:
        raise missing
    if scheme == "data":
        return Source(_BOUNDS, data=pictures.from_base64("uri", uri.encode(), _MAX_BASE64), name="uri")
    if scheme not in ("http", "https"):
        raise UnknownScheme("uri", "must begin with http:, https: or data:")
    if len(uri.encode()) > _MAX_URI_BYTES:
        raise UrlLengthError(f"more than {_MAX_URI_BYTES} bytes", field="uri")
    return Source(_BOUNDS, url=uri, name="uri")


def _marker(library: Library, after: str) -> str:
    """Where a list goes on, of letters that need no escaping in a signed query. It is of use in that library alone."""
    return base64.urlsafe_b64encode(f"{library.uid}/{after}".encode()).decode().rstrip("=")


def _read_marker(library: Library, marker: str) -> str | None:
    """The id that a marker says; None if it is empty. Raises InvalidArgument."""
    if not marker:
        return None
    try:
        plain = marker.translate(str.maketrans("-_", "+/"))
        said = binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True).decode()
    except ValueError as reason:
        raise InvalidArgument("marker", "not one that a list has answered") from reason
    uid, _, after = said.partition("/")
    if uid != library.uid or not after:
        raise InvalidArgument("marker", "one of another group, or of one that was made anew")
    return after


# -- Who calls, and what goes back -------------------------------------------------------------------------------------


def _endpoint(work: Work) -> Endpoint:
    """Authenticate, work, and render what comes of it."""

    def endpoint(ports: Ports, request: Request) -> Answer:
        facts: dict[str, Any] = {"reqid": secrets.token_urlsafe(12)}
        try:
            ports.call.check()
            check_rate(ports)
            application = _authenticated(ports, request)
            facts["app_id"] = application.app_id
            admit(ports, application, request.source_ip)
            said = work(ports, request, application)
        except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
            return _refusal(error, request, facts)
        return _answer(Answer(said.encode(), facts=facts), request)

    return endpoint


def _authenticated(ports: Ports, request: Request) -> Application:
    now = ports.clock() // 1000
    return qiniu_auth.verify(Callers(ports), request, ports.settings.public_hosts, now)


def _answer(answer: Answer, request: Request) -> Answer:
    """With the headers that every answer has, in gzip if the caller takes it."""
    headers = (("X-Reqid", answer.facts["reqid"]), ("Vary", "Accept-Encoding"))
    answer = replace(answer, headers=headers)
    return answer.gzipped() if request.takes_gzip else answer


def _refusal(error: Exception, request: Request, facts: Mapping[str, Any]) -> Answer:
    code, message = _said(error, {**facts, "request_id": request.id})
    said: dict[str, Any] = {"error": message, "errno": code, "code": code, "message": message}
    status = code if code < 1000 else code // 10_000
    if status == 401:
        said["error_code"] = "BadToken"
    ours = code == _OUR_FAILURE
    facts = {**facts, **why(error)}
    return _answer(ascii_json(said, status=status, outcome=type(error).__name__, failed=ours, facts=facts), request)


def _said(error: Exception, facts: Mapping[str, Any]) -> tuple[int, str]:
    """The vendor's code and words for what went wrong."""
    code, message = next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)
    if code == _OUR_FAILURE:
        log_failure(error, facts)
    return code, message.format(error)


def _elsewhere(_ports: Ports, request: Request) -> Answer:
    """Answer a path that is none of the vendor's, whoever asks."""
    return _refusal(UnknownOperation(request.path), request, {"reqid": secrets.token_urlsafe(12)})


def _fitting(ports: Ports, operation: str, results: Iterable[str]) -> tuple[list[str], bool]:
    """As many of the results as one answer has room for, and whether some were left out, which is counted."""
    shown: list[str] = []
    room = _ROOM
    for result in results:
        room -= _carried(result) + 1
        if room < 0:
            count(ports.settings, {"operation": operation}, {"AnswersCut": 1})
            return shown, True
        shown.append(result)
    return shown, False


def _carried(text: str) -> int:
    """Bytes that an answer's text takes as a string in an event, where Lambda's runtime writes more than ASCII as it is,
    but for the two separators of lines that JavaScript does not take."""
    escaped = text.count('"') + text.count("\\") + 3 * (text.count("\u2028") + text.count("\u2029"))
    return len(text.encode()) + escaped


# -- Paths -------------------------------------------------------------------------------------------------------------

_GROUP = "/v1/image/group/{group}"

_OWN: Mapping[str, tuple[Route, ...]] = {
    "groups": (
        Route("GET", "/v1/image/group", _endpoint(_list)),
        Route("GET", _GROUP, _endpoint(_pictures)),
        Route("GET", f"{_GROUP}/info", _endpoint(_info)),
        Route("POST", f"{_GROUP}/new", _endpoint(_new)),
        Route("POST", f"{_GROUP}/remove", _endpoint(_remove)),
        Route("POST", f"{_GROUP}/image", _endpoint(_picture)),
    ),
    "add": (Route("POST", f"{_GROUP}/add", _endpoint(_add)),),
    "delete": (Route("POST", f"{_GROUP}/delete", _endpoint(_delete)),),
    "search": (
        Route("POST", "/v1/image/groups/search", _endpoint(_search)),
        Route("POST", f"{_GROUP}/search", _endpoint(_search_one)),
    ),
    "unknown": (Route("*", "/v1", _elsewhere),),
}

_ELSEWHERE = (Route("*", "/v1/{rest+}", _elsewhere),)
