"""The Jumdata dialect: the three calls of similar-picture search V2, on one library a tenant.

Every answer is HTTP 200, because clients look at the status before they look at the code in the body; it is pure
ASCII, so that no charset can spoil it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lookalike import errors
from lookalike.domain.application import Application
from lookalike.domain.library import LibraryRef
from lookalike.domain.picture import Metadata, sign_of
from lookalike.domain.search import Match
from lookalike.errors import (
    ApplicationNotFound,
    ArgumentTooLong,
    InvalidArgument,
    MissingArgument,
    SignatureInvalid,
    TooManyItems,
    UnknownOperation,
    UrlLengthError,
)
from lookalike.imaging.decode import Bounds
from lookalike.observability import log_failure, why
from lookalike.ports import Ports
from lookalike.service.add import Add, add
from lookalike.service.admission import Callers, admit, check_rate
from lookalike.service.delete import Delete, delete
from lookalike.service.image_source import Source
from lookalike.service.libraries import library_ref
from lookalike.service.search import Search, search
from lookalike.wire import base64_image, forms, signing
from lookalike.wire.forms import Form
from lookalike.wire.http import Answer, Endpoint, Request, Route, ascii_json

#: The library all calls are about: the vendor has one for each account.
LIBRARY = "jumdata"

#: What goes wrong, in the vendor's codes and words; ``{name}`` is the argument's. An error that is not here is
#: answered as the class it derives from.
ERRORS: Mapping[type[BaseException], tuple[int, str]] = {
    errors.PictureExists: (202, "图片已存在!"),
    errors.PictureNotFound: (203, "图片不存在!"),
    errors.InvalidArgument: (400, "参数错误:{name}"),
    errors.MissingArgument: (400, "{name}不能为空!"),
    errors.ArgumentTooLong: (400, "{name}过长!"),
    errors.SignAmbiguous: (400, "参数错误:contSign"),
    errors.SignatureInvalid: (400, "签名错误!"),
    errors.EmptyPicture: (400, "url和base64不能同时为空!"),
    errors.BadEncoding: (400, "base64格式错误!"),
    errors.NotAPicture: (400, "图片格式错误!"),
    errors.PictureSizeError: (400, "图片大小不符合要求!"),
    errors.UrlError: (400, "url无法下载!"),
    errors.UrlTimeout: (610, "请求超时"),
    errors.UnknownOperation: (404, "接口地址不正确"),
    errors.Unavailable: (500, "系统维护,请稍候再试"),
    errors.RevisionConflict: (500, "系统维护,请稍候再试"),
    errors.ApplicationNotFound: (601, "接口未开通"),
    errors.ApplicationDisabled: (602, "账号停用"),
    errors.LimitReached: (606, "调用超限,请稍候再试"),
    errors.AddressRefused: (607, "ip不在白名单"),
    errors.RateReached: (609, "请求过于频繁,请稍候再试"),
    errors.ServiceRateReached: (609, "请求过于频繁,请稍候再试"),
    errors.Busy: (609, "请求过于频繁,请稍候再试"),
    Exception: (999, "其他错误"),
}

#: Answered with nothing but code and message, as the vendor's sample has it.
_BARE = 400

#: Codes that are our own failure: their traceback is logged, and an alarm counts them.
_OUR_FAILURE = (500, 999)

#: Sides of a picture and the length of its base64: the vendor's other picture services document these.
_MAX_BASE64 = 4 * 1024 * 1024
_MAX_SIDE = 4096
_FORMATS = frozenset({"JPEG", "PNG", "BMP"})

#: No bound is documented; browsers and servers have theirs near this.
_MAX_URL_BYTES = 2048
#: Longest metadata, in bytes of UTF-8: its ``description`` is a picture's brief.
METADATA_BYTES = {"brief": 64}
_MAX_SIGNS = 1000
_DEFAULT_RESULTS = 100

#: How far a caller's clock may be off, in milliseconds. The vendor documents no limit.
_CLOCKS_DIFFER = 15 * 60 * 1000

_TASK_NUMBERS = 10**24

Said = Mapping[str, Any]
Call = Callable[[Ports, LibraryRef, Form], Said]


def routes(operation: str) -> Sequence[Route]:
    """What the function ``operation`` (add, search, delete, unknown) answers."""
    return (*_OWN.get(operation, ()), Route("*", "/image/{rest+}", _elsewhere))


# -- Calls -------------------------------------------------------------------------------------------------------------


def _input(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    description = form.text("description")
    if len(description.encode()) > METADATA_BYTES["brief"]:
        raise ArgumentTooLong("description", f"more than {METADATA_BYTES['brief']} bytes")
    picture = add(ports, Add(ref, _source(ports, form), Metadata(description)))
    return {"contSign": _written(picture.digest)}


def _search(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    command = Search(
        ref,
        _source(ports, form),
        start=form.integer("start", least=0, default=0),
        count=form.integer("end", least=1, default=_DEFAULT_RESULTS),
    )
    page = search(ports, command)
    more = "true" if page.more else "false"
    if not page.matches:
        return {"resultNum": 0, "hasMore": more}
    return {
        "result": [_result(match) for match in page.matches],
        "resultNum": str(len(page.matches)),
        "hasMore": more,
    }


def _delete(ports: Ports, ref: LibraryRef, form: Form) -> Said:
    given = [part for part in (part.strip() for part in form.text("contSign").split(",")) if part]
    if not given:
        raise MissingArgument("contSign")
    if len(given) > _MAX_SIGNS:
        raise TooManyItems("contSign", f"more than {_MAX_SIGNS} of them")
    delete(ports, Delete(ref, tuple(_read(sign) for sign in given)))
    return {}


def _result(match: Match) -> Said:
    return {
        "brief": match.candidate.metadata.brief,
        "score": match.score,
        "contSign": _written(match.candidate.digest),
    }


def _source(ports: Ports, form: Form) -> Source:
    """The URL, or else the picture itself: the other way about than with the vendor whose signs these are."""
    bounds = Bounds(
        max_bytes=_MAX_BASE64 // 4 * 3,
        min_side=ports.settings.min_side,
        max_side=_MAX_SIDE,
        max_pixels=_MAX_SIDE * _MAX_SIDE,
        formats=_FORMATS,
    )
    url = form.text("url").strip()
    if len(url.encode()) > _MAX_URL_BYTES:
        raise UrlLengthError(f"more than {_MAX_URL_BYTES} bytes")
    if url:
        return Source(bounds, url=url, name="url")
    return Source(bounds, data=base64_image.from_base64("base64", form.data("base64"), _MAX_BASE64), name="base64")


def _written(digest: str) -> str:
    """A sign in base64 without padding, because a list of signs is parted by the comma a sign has in it."""
    return base64.b64encode(sign_of(digest).encode()).decode().rstrip("=")


def _read(text: str) -> str:
    """The sign that such a text says; what says none is no picture's sign."""
    clean = text.rstrip("=")
    try:
        return binascii.a2b_base64(clean + "=" * (-len(clean) % 4), strict_mode=True).decode("ascii")
    except ValueError:  # no base64, or nothing a sign is made of
        return ""


# -- Who calls, and what goes back -------------------------------------------------------------------------------------


def _endpoint(call: Call) -> Endpoint:
    """Authenticate, work, and render what comes of it."""

    def endpoint(ports: Ports, request: Request) -> Answer:
        facts: dict[str, Any] = {"task": f"{secrets.randbelow(_TASK_NUMBERS):024d}", "library": LIBRARY}
        try:
            ports.call.check()
            check_rate(ports)
            form = forms.query_and_body(request)
            application = _authenticated(ports, form)
            facts["app_id"] = application.app_id
            admit(ports, application, request.source_ip)
            said = call(ports, library_ref(application, LIBRARY), form)
        except Exception as error:  # whatever it is, the caller gets an answer in the vendor's form
            return _refusal(error, request, facts)
        body = {"code": 200, "msg": "成功", "taskNo": facts["task"], "charge": True, "data": said}
        return ascii_json(body, facts=facts)

    return endpoint


def _authenticated(ports: Ports, form: Form) -> Application:
    """Whose call this is. ``sign`` is SHA-256 of app id, secret and timestamp as sent, in hexadecimal.

    Raises MissingArgument, InvalidArgument, ApplicationNotFound or SignatureInvalid.
    """
    given = {name: form.text(name).strip() for name in ("appId", "timestamp", "sign")}
    for name, value in given.items():
        if not value:
            raise MissingArgument(name)
    if not re.fullmatch(r"[0-9]{1,15}", given["timestamp"]):
        raise InvalidArgument("timestamp", "must be Unix milliseconds")
    application = Callers(ports).application_by_id(given["appId"])
    if application is None:
        raise ApplicationNotFound("no application has it", field="appId", remedy=signing.UNKNOWN_KEY)
    said = f"{given['appId']}{application.secret_key}{given['timestamp']}"
    expected = hashlib.sha256(said.encode()).hexdigest()
    if not hmac.compare_digest(expected.encode(), given["sign"].lower().encode()):
        raise SignatureInvalid("not made of appId, the application's secret key and timestamp", field="sign")
    if abs(ports.clock() - int(given["timestamp"])) > _CLOCKS_DIFFER:
        off = signing.clock_error(int(given["timestamp"]) // 1000, ports.clock() // 1000)
        raise InvalidArgument(
            "timestamp", f"{off}; {_CLOCKS_DIFFER // 60_000} minutes are allowed", remedy=signing.CLOCK
        )
    return application


def _refusal(error: Exception, request: Request, facts: Mapping[str, Any]) -> Answer:
    code, message = next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)
    ours = code in _OUR_FAILURE
    if ours:
        log_failure(error, {**facts, "request_id": request.id})
    said: dict[str, Any] = {"code": code, "msg": message.format(name=getattr(error, "name", ""))}
    if code != _BARE:
        said |= {"taskNo": facts["task"], "charge": False}
    return ascii_json(said, outcome=type(error).__name__, failed=ours, facts={**facts, **why(error)})


def _elsewhere(_ports: Ports, request: Request) -> Answer:
    """Answer a path that is none of the three, whoever asks."""
    return _refusal(UnknownOperation(request.path), request, {"task": f"{secrets.randbelow(_TASK_NUMBERS):024d}"})


_OWN: Mapping[str, tuple[Route, ...]] = {
    "add": (Route("POST", "/image/similarity/v2/input", _endpoint(_input)),),
    "search": (Route("POST", "/image/similarity/v2/search", _endpoint(_search)),),
    "delete": (Route("POST", "/image/similarity/v2/delete", _endpoint(_delete)),),
    "unknown": (Route("*", "/image", _elsewhere),),
}
