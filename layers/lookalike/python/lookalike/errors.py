"""Everything that can be wrong, said once, without a word of any vendor.

A dialect turns these into its vendor's codes, in one table of its own (``wire/<dialect>.py``).

::

    LookalikeError
    ├── InvalidArgument                a value out of its range, or that cannot be read
    │   ├── MissingArgument            nothing was given where something must be
    │   ├── ArgumentTooLong            text longer than allowed
    │   └── TooManyItems               a list longer than allowed
    ├── PictureError
    │   ├── EmptyPicture               the picture was given, with no bytes in it
    │   ├── BadEncoding                the text is not base64
    │   ├── NotAPicture                no picture, a truncated one, or a format that is not allowed
    │   └── PictureSizeError           too many bytes or pixels; a side too short or too long
    ├── UrlError
    │   ├── UrlLengthError             empty or too long
    │   ├── UrlIllegal                 not http(s), or unparsable
    │   │   └── UrlNotPublic           it leads to an address that is not public
    │   ├── UrlUnreachable             no such host, refused, broken off
    │   │   └── UrlTimeout             took too long
    │   └── UrlAnswerError             the server answered with an error, or with more than a picture may weigh
    │       └── UrlAnswerTooLong       with more than a picture may weigh
    ├── StateError
    │   ├── PictureExists              the library already holds this picture
    │   ├── PictureNotFound            the library holds no such picture
    │   ├── SignAmbiguous              two live pictures share the sign; the picture itself tells them apart
    │   ├── LibraryExists
    │   ├── LibraryNotFound
    │   └── LibraryFull                no more pictures may be added
    ├── AccessError
    │   ├── TokenInvalid               missing, garbled, unknown or revoked
    │   ├── TokenExpired               ours, and past its life
    │   ├── SignatureInvalid           the request's signature does not verify
    │   ├── ApplicationNotFound        no application has that app id
    │   ├── ApplicationDisabled
    │   └── AddressRefused             the application may not be used from there
    ├── LimitReached                   more calls than an operator allows, or than can be done; none of it was done
    │   ├── RateReached                an application's calls a second
    │   ├── DailyQuotaReached          its calls a day
    │   ├── TotalQuotaReached          its calls in all
    │   ├── ServiceRateReached         everybody's calls a second
    │   └── Busy                       more than the service can do in time: the call waited too long for its turn
    │       └── Abandoned              its caller has gone, so nobody waits for what it would find
    ├── UnknownOperation               no such path
    ├── RevisionConflict               somebody else wrote this row first; read again and retry
    ├── Unavailable                    a store does not answer; worth trying again
    │   └── IndexWriteError            the index did not take some rows; it says which, and why
    ├── OutOfTime                      the call's time was up before this was its turn; nothing of it is kept
    ├── ModelError                     the model file cannot be used; said once, at start
    └── SettingsError                  settings that cannot be used, all of them named at once
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.domain.picture import Key


class LookalikeError(Exception):
    """Base of all errors this service raises on purpose.

    ``retryable``: the same call may work later. The other three are for whoever runs the service, in its log:
    ``field`` names the argument or the part of the request, ``problem`` says what is wrong with it (``{0}`` is the
    error's message), ``remedy`` what can be done, if anything can. ``field`` and ``remedy`` may be given to a single
    error. None of them holds a value that a caller keeps secret.
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
        """Field, problem and limit, for the operator's log."""
        problem = self.problem.format(self)
        return f"{self.field}: {problem}" if self.field else problem


class InvalidArgument(LookalikeError):
    """A value out of its range, or one that cannot be read.

    Parameters
    ----------
    name : the argument's name as the caller knows it.
    reason : what is wrong with it, in a few words.
    """

    problem = "{0.reason}"

    def __init__(self, name: str, reason: str = "invalid", *, remedy: str | None = None) -> None:
        super().__init__(f"{name}: {reason}", field=name, remedy=remedy)
        self.name = name
        self.reason = reason


class MissingArgument(InvalidArgument):
    """Nothing was given where something must be."""

    def __init__(self, name: str, *, remedy: str | None = None) -> None:
        super().__init__(name, "missing", remedy=remedy)


class ArgumentTooLong(InvalidArgument):
    """Text longer than allowed."""


class TooManyItems(InvalidArgument):
    """A list longer than allowed."""


class PictureError(LookalikeError):
    """The bytes given as a picture cannot be used."""

    field = "picture"


class EmptyPicture(PictureError):
    """The picture was given, with no bytes in it."""


class BadEncoding(PictureError):
    """The text given for a picture is not base64."""


class NotAPicture(PictureError):
    """No picture, a truncated one, or a format that is not allowed."""


class PictureSizeError(PictureError):
    """Too many bytes or pixels; a side too short or too long."""


class UrlError(LookalikeError):
    """The picture behind a caller's URL cannot be had."""

    field = "url"


class UrlLengthError(UrlError):
    """The URL is empty or too long."""


class UrlIllegal(UrlError):
    """Not http(s), or unparsable."""


class UrlNotPublic(UrlIllegal):
    """The URL leads to an address that is not public."""

    remedy = "LOOKALIKE_FETCH_ALLOW names networks that may be downloaded from although they are not public"


class UrlUnreachable(UrlError):
    """No such host, refused, or broken off."""


class UrlTimeout(UrlUnreachable):
    """The download took too long."""


class UrlAnswerError(UrlError):
    """The server answered with an error, or with more than a picture may weigh."""


class UrlAnswerTooLong(UrlAnswerError):
    """The server answered with more than a picture may weigh."""


class StateError(LookalikeError):
    """The request is sound, the library's state forbids it."""


class PictureExists(StateError):
    """The library already holds this picture."""

    field = "picture"
    problem = "the library already holds {0}"


class PictureNotFound(StateError):
    """The library holds no such picture."""

    field = "picture"
    problem = "not in the library: {0}"


class SignAmbiguous(StateError):
    """Two live pictures share the sign; the picture itself tells them apart."""

    field = "picture"
    problem = "two live pictures share the sign {0}"
    remedy = "name the picture by its file"


class LibraryExists(StateError):
    """The tenant already has a library of that name."""

    field = "group"
    problem = "{0} exists already"


class LibraryNotFound(StateError):
    """The tenant has no library of that name."""

    field = "group"
    problem = "the tenant has none called {0}"
    remedy = "make it first, with a key of the same tenant"


class LibraryFull(StateError):
    """No more pictures may be added to the library."""

    field = "group"
    problem = "{0} is full"
    remedy = "LOOKALIKE_GROUP_PICTURES says how many pictures a group may hold"


class AccessError(LookalikeError):
    """The caller has not shown who they are, or may not do this."""

    field = "application"


class TokenInvalid(AccessError):
    """The access token is missing, garbled, unknown or revoked."""

    field = "access_token"
    remedy = "the client has to fetch a token from /oauth/2.0/token of this service"


class TokenExpired(AccessError):
    """The access token is ours, and past its life."""

    field = "access_token"
    problem = "past its life of 30 days; application {0}"
    remedy = "the client has to fetch a token from /oauth/2.0/token of this service"


class SignatureInvalid(AccessError):
    """The request's signature does not verify."""

    field = "authorization"


class ApplicationNotFound(AccessError):
    """No application has that app id."""


class ApplicationDisabled(AccessError):
    """The application exists and is switched off."""

    problem = "switched off"
    remedy = "lookalike keys change --enable"


class AddressRefused(AccessError):
    """The application may not be used from the caller's address."""

    field = "address"
    problem = "the application may not be used from {0}"
    remedy = "lookalike keys change --from"


class LimitReached(LookalikeError):
    """More calls than an operator allows, or than the service can do. None of what was asked has been done."""


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
    """Too many calls of one application since it was made."""

    field = "in_total"
    remedy = "lookalike keys change --in-total"


class ServiceRateReached(LimitReached):
    """Too many calls of all applications within a second."""

    field = "LOOKALIKE_PER_SECOND"
    remedy = "raise LOOKALIKE_PER_SECOND"
    retryable = True


class Busy(LimitReached):
    """More calls than the service can do in time: this one waited too long for its turn."""

    field = "time"
    remedy = "more processors; or let calls wait longer: LOOKALIKE_WAIT_SECONDS"
    retryable = True


class Abandoned(Busy):
    """The caller of a search has gone before it was done. Nobody reads the answer; it is logged and counted."""

    remedy = ""


class UnknownOperation(LookalikeError):
    """No such path."""

    field = "path"
    problem = "no such operation, or not with this method"


class RevisionConflict(LookalikeError):
    """Somebody else wrote this row first; read again and retry."""

    field = "store"
    problem = "{0} is being written by others"
    retryable = True


class Unavailable(LookalikeError):
    """A store does not answer; the same call may work later."""

    field = "store"
    retryable = True


class IndexWriteError(Unavailable):
    """The vector index did not take some rows; all others of the same call are written.

    Parameters
    ----------
    again : rows that may be taken later.
    refused : rows that never will be, with the index's reason.
    """

    def __init__(self, again: frozenset[Key], refused: Mapping[Key, str]) -> None:
        super().__init__(f"{len(again)} rows not written, {len(refused)} refused: {', '.join(refused.values())[:300]}")
        self.again = again
        self.refused = refused


class OutOfTime(LookalikeError):
    """The call's time was up before this was its turn; nothing of it is kept."""

    field = "time"
    retryable = True


class ModelError(LookalikeError):
    """The model file cannot be used. Raised at start, with one line that says why."""


class SettingsError(LookalikeError):
    """Settings that cannot be used; the message names all of them."""
