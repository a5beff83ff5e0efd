"""Qiniu's codes and messages of errors, and the errors that only this dialect has."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike import errors
from lookalike.errors import InvalidArgument
from lookalike.service.permissions import NotPermitted
from lookalike.service.search import MAX_FOUND
from lookalike.wire.dialect import Codes, code_of
from lookalike.wire.qiniu import limits


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


#: Errors in the vendor's codes and words; ``{0}`` is the error. A code of three digits is the HTTP status, one
#: of seven begins with it. An error that is not here is answered as the class it derives from.
ERRORS: Codes = {
    errors.LibraryExists: (400, "group already exists"),
    errors.LibraryNotFound: (400, "group {0.name} not exists"),
    errors.LibraryFull: (400, "group is full"),
    errors.PictureExists: (400, "id already exists"),
    errors.PictureNotFound: (400, "image {0.name} not exists"),
    errors.AccessError: (401, "bad token"),
    NotPermitted: (403, "permission denied"),
    errors.UnknownOperation: (404, "not found"),
    errors.LimitReached: (429, "too many requests"),
    NothingGiven: (406, "no enough arguments provided"),
    WrongLimit: (406, f"invalid limit, maximal allowed limit is {MAX_FOUND}"),
    WrongThreshold: (406, "invalid threshold"),
    NoGroups: (406, "groups is empty"),
    TooManyGroups: (406, f"cannot search in more than {limits.MAX_GROUPS} groups at one time"),
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


@dataclass(frozen=True, slots=True)
class VendorError:
    """An error as the vendor has it. ``ours``: it is a failure of ours."""

    code: int
    message: str

    @classmethod
    def of(cls, error: Exception) -> VendorError:
        """The vendor's code and message of an error of ours."""
        code, message = code_of(ERRORS, error)
        return cls(code, message.format(error))

    @property
    def status(self) -> int:
        """The HTTP status, with which the code begins."""
        return self.code if self.code < 1000 else self.code // 10_000

    @property
    def ours(self) -> bool:
        """True if it is a failure of ours."""
        return self.code == _OUR_FAILURE
