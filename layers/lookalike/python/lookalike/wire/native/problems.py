"""Problem details (RFC 9457) of every error: one table, from which answers and documentation are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from lookalike import errors
from lookalike.service import staging_errors
from lookalike.service.capacity import ApplicationFull
from lookalike.service.job_errors import JobFinished, JobInProgress, JobIsOther, JobNotFound
from lookalike.service.permissions import NotPermitted
from lookalike.service.picture_errors import PictureDeleted
from lookalike.service.sign_in import TooManyFailures
from lookalike.wire.http import Answer
from lookalike.wire.native import BASE
from lookalike.wire.native.session_errors import CrossSite, LinkInvalid, SessionExpired

#: Path of the page that lists all problems; a problem's ``type`` is an anchor on it.
PAGE = f"{BASE}/problems"

CONTENT_TYPE = "application/problem+json"


class PictureNamed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The picture that a problem is about. ``differs``: the call has sent another picture by its id."""

    library: str
    id: str
    differs: bool = False


class MethodNotAllowed(errors.UnknownOperation):
    """The path is one of this API's, but not with this method. ``allowed`` are those that it has."""

    problem = "this path takes {0.allowed}"

    def __init__(self, path: str, allowed: str) -> None:
        super().__init__(path)
        self.allowed = allowed


class RequestTooLarge(errors.InvalidArgument):
    """The body has more bytes than a request may have."""


class PictureIsThere(errors.PictureExists):
    """The library holds the picture already, and the caller wants to be told.

    Parameters
    ----------
    exists : the error of the add.
    library : the library's name.
    id_ : the id of the picture that is there.
    differs : whether the add has sent another picture.
    """

    problem = "the library holds {0.said}"  # and no digest: the key may be one that may not look at pictures
    remedy = "PUT replaces a picture by its id, PATCH changes what is said of it"

    def __init__(self, exists: errors.PictureExists, library: str, id_: str, *, differs: bool = False) -> None:
        super().__init__(exists.key, exists.name)
        self.picture = PictureNamed(library=library, id=id_, differs=differs)

    @property
    def said(self) -> str:
        """What the library holds, in words."""
        return f"another picture as {self.picture.id}" if self.picture.differs else f"it as {self.picture.id}"


class PictureIsPut(errors.RevisionMismatch):
    """A picture is put only where there is none by its id, and there is one."""

    field = "If-None-Match"
    problem = "the library holds {0.name}"
    remedy = "leave If-None-Match out, and it is replaced"


class PictureIsAbsent(errors.RevisionMismatch):
    """A picture is put only in the place of one by its id, and there is none."""

    field = "If-Match"
    problem = "not in the library: {0.name}"
    remedy = "leave If-Match out, and it is added"


class UnsupportedByLibrary(errors.InvalidArgument):
    """The library's kind or identity does not allow what is asked."""


class Kind(NamedTuple):
    """A kind of problem: HTTP status, code, and title."""

    status: int
    code: str
    title: str


#: Problems by the class of error. An error that is not here is answered as the class it derives from.
PROBLEMS: Mapping[type[BaseException], Kind] = {
    errors.InvalidArgument: Kind(400, "invalid_argument", "A value is out of range or malformed"),
    errors.MissingArgument: Kind(400, "missing_argument", "A required value is missing"),
    errors.ArgumentTooLong: Kind(400, "argument_too_long", "A text is longer than allowed"),
    errors.TooManyItems: Kind(400, "too_many_items", "A list is longer than allowed"),
    UnsupportedByLibrary: Kind(400, "unsupported_by_library", "The library does not allow this"),
    errors.AccessError: Kind(401, "unauthenticated", "The caller is not known"),
    errors.TokenExpired: Kind(401, "token_expired", "The access token has expired"),
    SessionExpired: Kind(401, "session_expired", "The session has expired"),
    LinkInvalid: Kind(401, "link_invalid", "The link was used already, is too old, or works elsewhere only"),
    CrossSite: Kind(403, "cross_site", "A page of another site has sent the request"),
    errors.ApplicationDisabled: Kind(403, "application_disabled", "The application is disabled"),
    errors.AddressRefused: Kind(403, "address_refused", "The application may not be used from this address"),
    NotPermitted: Kind(403, "not_permitted", "The key may not do this"),
    errors.UnknownOperation: Kind(404, "unknown_operation", "There is no such operation"),
    MethodNotAllowed: Kind(405, "method_not_allowed", "The path does not take this method"),
    errors.PictureNotFound: Kind(404, "picture_not_found", "The library holds no such picture"),
    errors.LibraryNotFound: Kind(404, "library_not_found", "There is no such library"),
    staging_errors.UploadError: Kind(422, "upload_failed", "The upload cannot be used"),
    staging_errors.UploadRefused: Kind(403, "upload_refused", "The form is not signed for this upload"),
    staging_errors.UploadNotFound: Kind(404, "upload_not_found", "There is no such upload"),
    staging_errors.UploadMissing: Kind(409, "upload_missing", "No file was sent to the upload yet"),
    staging_errors.UploadUsed: Kind(409, "upload_used", "The upload was used already"),
    staging_errors.UploadSent: Kind(409, "upload_sent", "A file was sent to the upload already"),
    staging_errors.UploadTooLarge: Kind(413, "upload_too_large", "The file is larger than its form allows"),
    staging_errors.UploadExpired: Kind(410, "upload_expired", "The upload's time is up"),
    errors.PictureExists: Kind(409, "picture_exists", "The library holds this picture already"),
    errors.LibraryExists: Kind(409, "library_exists", "There is a library of that name"),
    JobNotFound: Kind(404, "job_not_found", "There is no job of that name"),
    JobIsOther: Kind(409, "job_is_other", "A job of that name does something else"),
    JobInProgress: Kind(409, "job_in_progress", "Another job does this to the library now"),
    JobFinished: Kind(409, "job_finished", "The job has finished"),
    errors.SignAmbiguous: Kind(409, "sign_ambiguous", "Two pictures share the sign"),
    errors.LibraryFull: Kind(409, "library_full", "The library takes no more pictures"),
    ApplicationFull: Kind(409, "application_full", "The application's libraries take no more pictures"),
    errors.RevisionConflict: Kind(409, "revision_conflict", "Others are writing the same picture"),
    errors.RevisionMismatch: Kind(412, "revision_mismatch", "The picture has another revision than the one named"),
    PictureIsPut: Kind(412, "picture_is_there", "The library holds a picture by this id"),
    PictureIsAbsent: Kind(412, "picture_is_absent", "The library holds no picture by this id"),
    RequestTooLarge: Kind(413, "request_too_large", "The request is larger than allowed"),
    errors.EmptyPicture: Kind(422, "empty_picture", "The picture has no bytes"),
    errors.BadEncoding: Kind(422, "bad_encoding", "The picture is not base64"),
    errors.NotAPicture: Kind(422, "not_a_picture", "The file is no picture that can be read"),
    errors.PictureSizeError: Kind(422, "picture_size", "The picture is too large or too small"),
    errors.UrlError: Kind(422, "url_failed", "The picture cannot be downloaded"),
    errors.UrlLengthError: Kind(422, "url_length", "The URL is empty or too long"),
    errors.UrlIllegal: Kind(422, "url_illegal", "The URL is not one of http or https"),
    errors.UrlNotPublic: Kind(422, "url_not_public", "The URL is of an address that is not public"),
    errors.UrlUnreachable: Kind(422, "url_unreachable", "The URL's server cannot be reached"),
    errors.UrlTimeout: Kind(422, "url_timeout", "The download took too long"),
    errors.UrlAnswerError: Kind(422, "url_answer", "The URL's server answered with an error"),
    errors.UrlAnswerTooLong: Kind(422, "url_answer_too_long", "The URL's server sends more than a picture may have"),
    errors.LimitReached: Kind(429, "too_many_requests", "More calls than allowed"),
    errors.RateReached: Kind(429, "rate_reached", "More calls a second than the application may make"),
    errors.DailyQuotaReached: Kind(429, "daily_quota_reached", "More calls a day than the application may make"),
    errors.TotalQuotaReached: Kind(429, "total_quota_reached", "More calls than the application may make"),
    TooManyFailures: Kind(429, "too_many_failures", "Too many attempts to sign in with wrong keys"),
    errors.Busy: Kind(503, "busy", "The service has more calls than it can do in time"),
    errors.Unavailable: Kind(503, "unavailable", "A store does not answer"),
    errors.OutOfTime: Kind(503, "out_of_time", "The time of the call was up"),
    Exception: Kind(500, "failure", "The service has failed"),
}

#: Fields and remedies where this API has others than the log: a caller cannot change a setting of the service.
_FIELDS: Mapping[type[BaseException], str] = {
    errors.RevisionMismatch: "If-Match",
    errors.ServiceRateReached: "",
    errors.Busy: "",
    errors.OutOfTime: "",
}

#: The same of fields that use cases name by default: a picture is named by the id of its path, if by no other.
_DEFAULTS: Mapping[tuple[type[BaseException], str], str] = {
    (errors.PictureNotFound, "picture"): "id",
    (errors.SignAmbiguous, "picture"): "id",
}
_WAIT = "wait as long as Retry-After says, then repeat the call"
_REMEDIES: Mapping[type[BaseException], str] = {
    errors.RevisionMismatch: "look at the picture again, then repeat the change with its ETag",
    errors.ServiceRateReached: _WAIT,
    errors.Busy: _WAIT,
    PictureDeleted: "POST …/restore brings it back",
    errors.LibraryNotFound: "make it first: PUT /api/v1/libraries/{library}",
}

#: Members of bodies that use cases know by their names.
_MEMBERS: Mapping[str, str] = {
    **{name: f"/{name}" for name in ("also", "box", "capacity", "desc", "label", "libraries", "pictures", "tags")},
    "without": "/not",
}

#: What helps a caller who is not known, whatever the reason.
_AUTHENTICATE = "send access key and secret key by HTTP Basic, or a token of /oauth/2.0/token by Bearer"

#: Seconds after which a call that was refused for now may be repeated.
RETRY_SECONDS = 1

#: Seconds until a daily limit may have room again. It is not said to the second: a day ends at midnight, UTC.
RETRY_DAY_SECONDS = 3600

#: How to authenticate, in answers to those who have not (RFC 7235 section 4.1).
CHALLENGE = ("www-authenticate", 'Basic realm="lookalike", charset="UTF-8"')

#: The same for browsers, which would open a window of their own for Basic, over the page that knows how to sign in.
CHALLENGE_OF_BROWSERS = ("www-authenticate", 'Bearer realm="lookalike"')


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong. ``field`` is a JSON pointer into the body, or the name of a parameter."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request: str
    field: str = ""
    remedy: str = ""
    picture: PictureNamed | UnsetType = UNSET
    revision: int | UnsetType = UNSET


def kind_of(error: Exception) -> Kind:
    """Return the kind of the error's class, or of the nearest class that it derives from."""
    return next(PROBLEMS[one] for one in type(error).__mro__ if one in PROBLEMS)


def is_ours(error: Exception) -> bool:
    """Whether the error is a failure of the service, and not of its caller."""
    return kind_of(error).status >= 500 and not isinstance(error, errors.Busy)


def problem_of(error: Exception, request: str) -> Problem:
    """Return the problem of an error, in the call of that number.

    Why a caller is not known is not said to it: it may be guessing. A failure of ours has no detail either.
    """
    kind = kind_of(error)
    said = error if isinstance(error, errors.LookalikeError) and kind.status not in (401, 500) else None
    remedy = _AUTHENTICATE if kind.status == 401 else ""
    if isinstance(error, LinkInvalid):  # whoever has one is told what is to be done: it is signed, so nobody can guess
        said = error
    return Problem(
        type=f"{PAGE}#{kind.code}",
        title=kind.title,
        status=kind.status,
        code=kind.code,
        detail="" if said is None else said.problem.format(said),
        request=request,
        field="" if said is None else _field_of(said),
        remedy=remedy if said is None else _REMEDIES.get(type(said), said.remedy),
        picture=error.picture if isinstance(error, PictureIsThere) else UNSET,
        revision=_revision_of(error),
    )


def _field_of(error: errors.LookalikeError) -> str:
    field = "library" if error.field == "group" else _FIELDS.get(type(error), error.field)
    return _MEMBERS.get(field, _DEFAULTS.get((type(error), field), field))


def _revision_of(error: BaseException) -> int | UnsetType:
    revision = error.revision if isinstance(error, errors.RevisionMismatch) else None
    return UNSET if revision is None else revision


def problem_answer(error: Exception, request: str, *, in_browser: bool = False) -> Answer:
    """Return the answer to a call that failed. A browser is not challenged to ask its user for the keys itself."""
    problem = problem_of(error, request)
    return Answer(
        msgspec.json.encode(problem),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=tuple(_headers(error, problem.status, CHALLENGE_OF_BROWSERS if in_browser else CHALLENGE)),
        failed=is_ours(error),
    )


def _headers(error: Exception, status: int, challenge: tuple[str, str]) -> list[tuple[str, str]]:
    headers = [("cache-control", "no-store")]
    if status == 401:
        headers.append(challenge)
    if isinstance(error, MethodNotAllowed):
        headers.append(("allow", error.allowed))
    if isinstance(error, errors.DailyQuotaReached):
        headers.append(("retry-after", str(RETRY_DAY_SECONDS)))
    elif isinstance(error, TooManyFailures):
        headers.append(("retry-after", str(error.seconds)))
    elif status == 503 or isinstance(error, (errors.RateReached, errors.ServiceRateReached)):
        headers.append(("retry-after", str(RETRY_SECONDS)))
    return headers
