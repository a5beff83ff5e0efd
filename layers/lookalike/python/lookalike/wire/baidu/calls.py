"""The Baidu dialect: the token endpoint and the four calls of ``same_hq``, ``similar`` and ``product``.

Every answer is HTTP 200 but the token endpoint's, because two of the vendor's SDKs drop the body of any other; it
is pure ASCII, because one of the vendor's samples reads it in the system's code page.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lookalike import errors
from lookalike.domain.application import Application
from lookalike.domain.library import Kind, LibraryRef
from lookalike.domain.picture import Metadata, MetadataChange, sign_of
from lookalike.domain.search import Match, TagFilter
from lookalike.errors import (
    ArgumentTooLong,
    EmptyPicture,
    InvalidArgument,
    MissingArgument,
    TokenInvalid,
    TooManyItems,
    UnknownOperation,
    UrlLengthError,
)
from lookalike.imaging.decode import Bounds
from lookalike.observability import log_failure, why
from lookalike.ports import Ports
from lookalike.service import tags
from lookalike.service.add import Add, add
from lookalike.service.admission import Callers, admit, check_rate
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import IMPLICIT_LIBRARIES
from lookalike.service.search import Search, search
from lookalike.service.update import Update, update
from lookalike.wire import base64_image, forms
from lookalike.wire.baidu import access_tokens, token_endpoint
from lookalike.wire.baidu import signature as bce
from lookalike.wire.forms import Form
from lookalike.wire.http import Answer, Endpoint, Request, Route, ascii_json

#: The libraries by the name they have in paths.
LIBRARIES = IMPLICIT_LIBRARIES

#: What goes wrong, in the vendor's codes and words. An error that is not here is answered as the class it derives from.
ERRORS: Mapping[type[BaseException], tuple[int, str]] = {
    errors.Unavailable: (2, "Service temporarily unavailable"),
    errors.RevisionConflict: (2, "Service temporarily unavailable"),
    errors.UnknownOperation: (3, "Unsupported openapi method"),
    errors.ServiceRateReached: (4, "Open api request limit reached"),
    errors.ApplicationDisabled: (6, "No permission to access data"),
    errors.AddressRefused: (6, "No permission to access data"),
    errors.SignatureInvalid: (14, "IAM Certification failed"),
    errors.DailyQuotaReached: (17, "Open api daily request limit reached"),
    errors.RateReached: (18, "Open api qps request limit reached"),
    errors.Busy: (18, "Open api qps request limit reached"),
    errors.TotalQuotaReached: (19, "Open api total request limit reached"),
    errors.TokenInvalid: (110, "Access token invalid or no longer valid"),
    errors.TokenExpired: (111, "Access token expired"),
    errors.LibraryNotFound: (216017, "not initialized"),
    errors.InvalidArgument: (216100, "invalid param"),
    errors.SignAmbiguous: (216100, "invalid param"),
    errors.MissingArgument: (216101, "not enough param"),
    errors.ArgumentTooLong: (216103, "param too long"),
    errors.EmptyPicture: (216200, "empty image"),
    errors.NotAPicture: (216201, "image format error"),
    errors.PictureSizeError: (216202, "image size error"),
    errors.BadEncoding: (216203, "image size error"),
    errors.PictureNotFound: (216680, "item not exist"),
    errors.PictureExists: (216681, "item exist"),
    errors.TooManyItems: (282006, "batch task  limit reached"),
    errors.UrlIllegal: (282111, "url format illegal"),
    errors.UrlUnreachable: (282112, "url download timeout"),
    errors.UrlAnswerError: (282113, "url response invalid"),
    errors.UrlLengthError: (282114, "url size error"),
    Exception: (282000, "internal error"),
}

#: From this code on an error is about what was asked, and carries a log_id; below it, about who asks and whether
#: the platform can answer.
_BUSINESS = 216000

#: Codes that are our own failure: their traceback is logged, and an alarm counts them.
_OUR_FAILURE = (2, 282000)

#: Longest base64 of a picture, and so its file, in bytes.
_MAX_BASE64 = 4 * 1024 * 1024
_MAX_SIDE = 4096
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF"})

_MAX_URL_BYTES = 1024
#: Longest metadata, in bytes of UTF-8.
METADATA_BYTES = {"brief": 256}
_MAX_SIGNS = 1000
_MAX_RESULTS = 1000
_DEFAULT_RESULTS = 300

#: JavaScript's numbers are exact below this.
_LOG_IDS = 2**53

Said = Mapping[str, Any]
Work = Callable[[Ports, Request, Application], Said]
Call = Callable[[Ports, LibraryRef, Form], Said]


def routes(operation: str) -> Sequence[Route]:
    """What the function ``operation`` (add, search, update, delete, unknown) answers."""
    return (*_OWN[operation], *_ELSEWHERE)


# -- Calls on a library ------------------------------------------------------------------------------------------------


def _add(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    source = _source(ports, form)
    if source is None:
        raise _nothing_given(form)
    brief = _brief(form)
    if not brief and ref.kind is not Kind.PRODUCT and ports.settings.brief_required:
        raise MissingArgument("brief", remedy="LOOKALIKE_BRIEF_REQUIRED=false makes it optional")
    picture = add(ports, Add(ref, source, Metadata(brief, tags=_tags(ref, form))))
    return {"cont_sign": sign_of(picture.digest)}


def _search(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    source = _source(ports, form)
    if source is None:
        raise _nothing_given(form)
    command = Search(
        ref,
        source,
        start=form.integer("pn", least=0, default=0),
        count=min(form.integer("rn", least=1, default=_DEFAULT_RESULTS), _MAX_RESULTS),
        tags=_tag_filter(ref, form),
    )
    page = search(ports, command)
    return {
        "result_num": len(page.matches),
        "result": [_result(match) for match in page.matches],
        "has_more": page.more,
    }


def _update(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    which = _source(ports, form) or _one_sign(form)
    change: MetadataChange = {}
    if given := _tags(ref, form):
        change["tags"] = given
    if brief := _brief(form):
        change["brief"] = brief
    update(ports, Update(ref, which, change, keep=_unmentioned(ref, given)))
    return {}


def _delete(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    delete(ports, Delete(ref, _source(ports, form) or _signs(form)))
    return {}


def _result(match: Match) -> Said:
    return {
        "score": match.score,
        "brief": match.candidate.metadata.brief,
        "cont_sign": sign_of(match.candidate.digest),
    }


# -- Their parameters --------------------------------------------------------------------------------------------------


def _source(ports: Ports, form: Form) -> Source | None:
    """The picture itself, or else its URL; None if neither is given."""
    bounds = Bounds(
        max_bytes=_MAX_BASE64 // 4 * 3,
        min_side=ports.settings.min_side,
        max_side=_MAX_SIDE,
        max_pixels=_MAX_SIDE * _MAX_SIDE,
        formats=_FORMATS,
    )
    if form.data("image"):
        return Source(bounds, data=base64_image.from_base64("image", form.data("image"), _MAX_BASE64), name="image")
    url = form.text("url").strip()
    if len(url.encode()) > _MAX_URL_BYTES:
        raise UrlLengthError(f"more than {_MAX_URL_BYTES} bytes")
    return Source(bounds, url=url, name="url") if url else None


def _nothing_given(form: Form) -> Exception:
    """What is wrong where a picture must be named and is not: a field sent empty, or none sent at all."""
    if "image" in form:
        return EmptyPicture("empty", field="image")
    if "url" in form:
        return UrlLengthError("empty")
    return MissingArgument("image")


def _signs(form: Form) -> tuple[str, ...]:
    signs = tuple(sign for sign in (part.strip() for part in form.text("cont_sign").split(";")) if sign)
    if not signs:
        raise _nothing_given(form)
    if len(signs) > _MAX_SIGNS:
        raise TooManyItems("cont_sign", f"more than {_MAX_SIGNS} of them")
    return signs


def _one_sign(form: Form) -> str:
    signs = _signs(form)
    if len(signs) > 1:
        raise InvalidArgument("cont_sign", "more than one, where one picture is meant")
    return signs[0]


def _brief(form: Form) -> str:
    brief = form.text("brief")
    if len(brief.encode()) > METADATA_BYTES["brief"]:
        raise ArgumentTooLong("brief", f"more than {METADATA_BYTES['brief']} bytes")
    return brief


def _tags(ref: LibraryRef, form: Form) -> tuple[str, ...]:
    """Tags in the form they are kept in: numbers as decimals; a product's class ids with their place before them."""
    if ref.kind is Kind.PRODUCT:
        classes = {place: tags.number(f"class_id{place}", form.text(f"class_id{place}")) for place in (1, 2)}
        return tuple(f"{place}:{number}" for place, number in classes.items() if number is not None)
    numbers = [tags.number("tags", part) for part in form.text("tags").split(",")]
    given = [number for number in numbers if number is not None]
    if len(given) > tags.MAX_TAGS:
        raise InvalidArgument("tags", f"more than {tags.MAX_TAGS} of them")
    return tuple(dict.fromkeys(str(number) for number in given))


def _unmentioned(ref: LibraryRef, given: tuple[str, ...]) -> tuple[str, ...]:
    """Class ids are two fields, each optional in an update: the one that is not sent stays as it is."""
    if ref.kind is not Kind.PRODUCT:
        return ()
    return tuple(place for place in ("1:", "2:") if not any(tag.startswith(place) for tag in given))


def _tag_filter(ref: LibraryRef, form: Form) -> TagFilter | None:
    wanted = frozenset(_tags(ref, form))
    logic = form.integer("tag_logic", least=0, most=1, default=0)
    return TagFilter(wanted, any_of=logic == 1) if wanted else None


# -- Who calls, and what goes back -------------------------------------------------------------------------------------


def _in_library(call: Call) -> Work:
    def work(ports: Ports, request: Request, application: Application) -> Said:
        name = request.arguments["library"]
        if name not in LIBRARIES:
            raise UnknownOperation(request.path)
        return call(ports, LibraryRef(application.tenant, name, LIBRARIES[name]), forms.body(request))

    return work


def _no_such_operation(_ports: Ports, request: Request, _application: Application) -> Said:
    raise UnknownOperation(request.path)


def _endpoint(work: Work) -> Endpoint:
    """Authenticate, work, and render what comes of it."""

    def endpoint(ports: Ports, request: Request) -> Answer:
        facts: dict[str, Any] = {"log_id": secrets.randbelow(_LOG_IDS)}
        if request.arguments.get("library") in LIBRARIES:  # any other text may be anything, even a token
            facts["library"] = request.arguments["library"]
        try:
            ports.call.check()
            check_rate(ports)
            application = _authenticated(ports, request)
            facts["app_id"] = application.app_id
            admit(ports, application, request.source_ip)
            said = work(ports, request, application)
        except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
            return _refusal(error, request, facts)
        return ascii_json({"log_id": facts["log_id"], **said}, facts=facts)

    return endpoint


def _authenticated(ports: Ports, request: Request) -> Application:
    now = ports.clock() // 1000
    if bce.is_meant(request):
        return bce.verify(Callers(ports), request, ports.settings.public_hosts, now)
    return access_tokens.verify(Callers(ports), _access_token(request), now)


def _access_token(request: Request) -> str:
    """From the query, or else from the body. Raises TokenInvalid if the body cannot be read.

    The Node SDK appends its query twice, so the token ends where the second one begins.
    """
    try:
        token = forms.query(request).text("access_token") or forms.body(request).text("access_token")
    except InvalidArgument as reason:
        raise TokenInvalid(f"cannot be read: {reason.explanation}") from reason
    return token.partition("?")[0]


def _refusal(error: Exception, request: Request, facts: Mapping[str, Any]) -> Answer:
    code, message = next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)
    ours = code in _OUR_FAILURE
    if ours:
        log_failure(error, {**facts, "request_id": request.id})
    said = {"error_code": code, "error_msg": message}
    if code >= _BUSINESS:
        said["log_id"] = facts["log_id"]
    return ascii_json(said, outcome=type(error).__name__, failed=ours, facts={**facts, **why(error)})


# -- Paths -------------------------------------------------------------------------------------------------------------

#: Where the vendor has its libraries; every library is found in each place, because clients mix them up.
_PLACES = (
    "/rest/2.0/realtime_search",
    "/rest/2.0/image-classify/v1/realtime_search",
    "/rest/2.0/imagesearch/v1/realtime_search",
)


def _calls(operation: str, call: Call) -> tuple[Route, ...]:
    endpoint = _endpoint(_in_library(call))
    return tuple(Route("POST", f"{place}/{{library}}/{operation}", endpoint) for place in _PLACES)


_OWN: Mapping[str, tuple[Route, ...]] = {
    "add": _calls("add", _add),
    "search": _calls("search", _search),
    "update": _calls("update", _update),
    "delete": _calls("delete", _delete),
    "unknown": (),
}

_ELSEWHERE = (
    Route("*", "/rest/{rest+}", _endpoint(_no_such_operation)),
    Route("*", "/rpc/{rest+}", _endpoint(_no_such_operation)),
    Route("*", "/oauth/{rest+}", token_endpoint.elsewhere),
)
