"""All errors of the service, as one tree, without any vendor's codes.

Each dialect maps them to its vendor's codes in one table of its own (``lookalike.wire.<vendor>``).

::

    LookalikeError
    ├── InvalidArgument                a value out of range, or malformed
    │   ├── MissingArgument            a required value is missing
    │   ├── ArgumentTooLong            text longer than allowed
    │   └── TooManyItems               a list longer than allowed
    ├── PictureError
    │   ├── EmptyPicture               no bytes
    │   ├── BadEncoding                text that is not base64
    │   ├── NotAPicture                not an image, a truncated one, or a format that is not allowed
    │   └── PictureSizeError           too many bytes or pixels; a side too short or too long
    ├── UrlError
    │   ├── UrlLengthError             empty or too long
    │   ├── UrlIllegal                 not http(s), or unparsable
    │   │   └── UrlNotPublic           it resolves to an address that is not public
    │   ├── UrlUnreachable             no such host, connection refused or lost
    │   │   └── UrlTimeout             the download took too long
    │   └── UrlAnswerError             the server answered with an error, or with too many bytes
    │       └── UrlAnswerTooLong       with more bytes than a picture may have
    ├── StateError
    │   ├── PictureExists              the library already holds this picture
    │   ├── PictureNotFound            the library holds no such picture
    │   ├── RevisionMismatch           the picture has another revision than the one named
    │   ├── SignAmbiguous              two live pictures share the sign; the picture itself tells them apart
    │   ├── LibraryExists              the tenant already has a library of that name
    │   ├── LibraryNotFound            the tenant has no library of that name
    │   └── LibraryFull                no more pictures may be added
    ├── AccessError
    │   ├── TokenInvalid               missing, malformed, unknown or revoked
    │   ├── TokenExpired               issued by this service, and expired
    │   ├── SignatureInvalid           the request's signature does not verify
    │   ├── ApplicationNotFound        no application has that app id
    │   ├── ApplicationDisabled
    │   └── AddressRefused             the application may not be used from the caller's address
    ├── LimitReached                   more calls than the operator allows, or than can be done; nothing was done
    │   ├── RateReached                an application's calls per second
    │   ├── DailyQuotaReached          an application's calls per day
    │   ├── TotalQuotaReached          an application's calls in total
    │   ├── ServiceRateReached         calls of all applications per second
    │   └── Busy                       the call waited too long for its turn
    │       └── Abandoned              the caller has disconnected
    ├── UnknownOperation               no such path
    ├── RevisionConflict               another write of the row was faster; read again and retry
    ├── Unavailable                    a store does not answer; retry later
    │   └── IndexWriteError            the index did not take some rows
    ├── OutOfTime                      the call's time was up before the turn of this picture; nothing of it is stored
    ├── ModelError                     the model file cannot be used; raised at start
    └── SettingsError                  settings that cannot be used; the message names all of them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.domain.picture import Key


class LookalikeError(Exception):
    """Base class of all errors that the service raises on purpose.

    ``retryable``: the same call may succeed later. The other three are for the operator's log: ``field`` names the
    argument or the part of the request, ``problem`` is a template that describes the fault (``{0}`` is the error, whose
    attributes it may name), ``remedy`` the action to take, if there is one. ``field`` and ``remedy`` may be given per
    error. None of them contains a caller's secrets.
    """

    retryable = False
    field = ""
    problem = "{0}"
    remedy = ""

    def __init__(self, *said: object, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(*said)
        if field is not None:
            self.field = field
        if remedy is not None:
            self.remedy = remedy

    @property
    def explanation(self) -> str:
        """Field and problem in one line, for the operator's log."""
        problem = self.problem.format(self)
        return f"{self.field}: {problem}" if self.field else problem


class InvalidArgument(LookalikeError):
    """A value out of range, or malformed.

    Parameters
    ----------
    name : the argument's name as the caller knows it.
    reason : the fault, in a few words.
    """

    problem = "{0.reason}"

    def __init__(self, name: str, reason: str = "invalid", *, remedy: str | None = None) -> None:
        super().__init__(f"{name}: {reason}", field=name, remedy=remedy)
        self.name = name
        self.reason = reason


class MissingArgument(InvalidArgument):
    """A required value is missing."""

    def __init__(self, name: str, *, remedy: str | None = None) -> None:
        super().__init__(name, "missing", remedy=remedy)


class ArgumentTooLong(InvalidArgument):
    """Text longer than allowed."""


class TooManyItems(InvalidArgument):
    """A list longer than allowed."""


class PictureError(LookalikeError):
    """A picture that cannot be used."""

    field = "picture"


class EmptyPicture(PictureError):
    """The picture has no bytes."""


class BadEncoding(PictureError):
    """The picture's text is not base64."""


class NotAPicture(PictureError):
    """Not an image, a truncated one, or a format that is not allowed."""


class PictureSizeError(PictureError):
    """Too many bytes or pixels, or a side too short or too long."""


class UrlError(LookalikeError):
    """The picture at a caller's URL cannot be downloaded."""

    field = "url"


class UrlLengthError(UrlError):
    """The URL is empty or too long."""


class UrlIllegal(UrlError):
    """The URL is not http(s), or unparsable."""


class UrlNotPublic(UrlIllegal):
    """The URL resolves to an address that is not public."""

    remedy = "LOOKALIKE_FETCH_ALLOW names networks that may be downloaded from although they are not public"


class UrlUnreachable(UrlError):
    """No such host, or the connection was refused or lost."""


class UrlTimeout(UrlUnreachable):
    """The download took too long."""


class UrlAnswerError(UrlError):
    """The server answered with an error, or with more bytes than a picture may have."""


class UrlAnswerTooLong(UrlAnswerError):
    """The server answered with more bytes than a picture may have."""


class StateError(LookalikeError):
    """A valid request that the library's state forbids. ``name`` is the library's or the picture's."""

    problem = "{0.name}"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class PictureExists(StateError):
    """The library holds this picture: by ``key``, with the digest ``name``. ``repaired``: its lost original is stored again."""

    field = "picture"
    problem = "the library already holds {0.name}"

    def __init__(self, key: Key, digest: str) -> None:
        super().__init__(digest)
        self.key = key
        self.repaired = False  # true once its lost original has been stored again, as the very file was sent


class PictureNotFound(StateError):
    """The library holds no such picture: ``name`` is its id or sign, or a few words for it."""

    field = "picture"
    problem = "not in the library: {0.name}"


class RevisionMismatch(StateError):
    """The picture ``key`` has another revision than the one named: ``revision``, or None if it is not in the library."""

    field = "revision"
    problem = "the picture has another revision than the one named: {0.name}"
    remedy = "read the picture again, then repeat the change with its revision"

    def __init__(self, key: Key, revision: int | None) -> None:
        super().__init__(key.id)
        self.key = key
        self.revision = revision


class SignAmbiguous(StateError):
    """Two live pictures share the sign; the picture itself tells them apart."""

    field = "picture"
    problem = "two live pictures share the sign {0.name}"
    remedy = "name the picture by its file, or by its id take an old sign back from the one that was given it"


class LibraryExists(StateError):
    """The tenant already has a library of that name."""

    field = "group"
    problem = "{0.name} exists already"


class LibraryNotFound(StateError):
    """The tenant has no library of that name."""

    field = "group"
    problem = "the tenant has none called {0.name}"
    remedy = "make it first, with a key of the same tenant"


class LibraryFull(StateError):
    """No more pictures may be added to the library."""

    field = "group"
    problem = "{0.name} is full"
    remedy = "raise its capacity; if it has none, LOOKALIKE_GROUP_PICTURES or, if its pictures are ids, LOOKALIKE_LIBRARY_PICTURES"


class AccessError(LookalikeError):
    """The caller is not authenticated, or not allowed to call."""

    field = "application"


class TokenInvalid(AccessError):
    """The access token is missing, malformed, unknown or revoked."""

    field = "access_token"
    remedy = "the client has to fetch a token from /oauth/2.0/token of this service"


class TokenExpired(AccessError):
    """The access token was issued by this service, and has expired."""

    field = "access_token"
    problem = "past its life of 30 days; application {0}"
    remedy = "the client has to fetch a token from /oauth/2.0/token of this service"


class SignatureInvalid(AccessError):
    """The request's signature does not verify."""

    field = "authorization"


class ApplicationNotFound(AccessError):
    """No application has that app id."""


class ApplicationDisabled(AccessError):
    """The application is disabled."""

    problem = "switched off"
    remedy = "lookalike keys change --enable"


class AddressRefused(AccessError):
    """The application may not be used from the caller's address."""

    field = "address"
    problem = "the application may not be used from {0}"
    remedy = "lookalike keys change --from"


class LimitReached(LookalikeError):
    """More calls than the operator allows, or than the service can do in time. Nothing of the call was done."""


class RateReached(LimitReached):
    """Too many calls of one application within a second."""

    field = "per_second"
    remedy = "lookalike keys change --per-second"
    retryable = True


class DailyQuotaReached(LimitReached):
    """Too many calls of one application within a day."""

    field = "per_day"
    remedy = "lookalike keys change --per-day"


class TotalQuotaReached(LimitReached):
    """Too many calls of one application since it was created."""

    field = "in_total"
    remedy = "lookalike keys change --in-total"


class ServiceRateReached(LimitReached):
    """Too many calls of all applications within a second."""

    field = "LOOKALIKE_PER_SECOND"
    remedy = "raise LOOKALIKE_PER_SECOND"
    retryable = True


class Busy(LimitReached):
    """The call waited too long for its turn: the service has more calls than it can do in time."""

    field = "time"
    remedy = "more processors; or let calls wait longer: LOOKALIKE_WAIT_SECONDS"
    retryable = True


class Abandoned(Busy):
    """The caller disconnected before its search was done. Nobody reads the answer; it is logged and counted."""

    remedy = ""


class UnknownOperation(LookalikeError):
    """No such path."""

    field = "path"
    problem = "no such operation, or not with this method"


class RevisionConflict(LookalikeError):
    """Another write of the row was faster; read again and retry."""

    field = "store"
    problem = "{0} is being written by others"
    retryable = True


class Unavailable(LookalikeError):
    """A store does not answer; the same call may succeed later."""

    field = "store"
    retryable = True


class IndexWriteError(Unavailable):
    """The vector index did not take some rows; all others of the call are written.

    Parameters
    ----------
    again : rows that the index may take later.
    refused : rows that it will never take, with its reasons.
    """

    def __init__(self, again: frozenset[Key], refused: Mapping[Key, str]) -> None:
        super().__init__(f"{len(again)} rows not written, {len(refused)} refused: {', '.join(refused.values())[:300]}")
        self.again = again
        self.refused = refused


class OutOfTime(LookalikeError):
    """The call's time was up before the turn of this picture; nothing of it is stored."""

    field = "time"
    retryable = True


class ModelError(LookalikeError):
    """The model file cannot be used. Raised at start; the message is one line."""


class SettingsError(LookalikeError):
    """Settings that cannot be used; the message names all of them."""
