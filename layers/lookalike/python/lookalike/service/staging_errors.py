"""Errors of files that are sent ahead of the call that uses them."""

from __future__ import annotations

from lookalike.errors import LookalikeError


class UploadError(LookalikeError):
    """A file that was to be sent ahead, and cannot be used. ``field`` is the caller's name of the argument."""

    field = "upload"


class UploadNotFound(UploadError):
    """The tenant was offered no such upload."""

    problem = "this service has offered you no such upload"
    remedy = "ask for one: POST /api/v1/uploads"


class UploadMissing(UploadError):
    """No file was sent to it yet."""

    problem = "no file was sent to it, or it has not arrived yet"
    remedy = "send the file first: by POST to url, with fields, and the file as the last field, file"


class UploadUsed(UploadError):
    """A call has used the file already."""

    problem = "it was used already, and is there for one file and one call"
    remedy = "ask for another one: POST /api/v1/uploads"


class UploadSent(UploadUsed):
    """A file was sent to it before."""

    problem = "a file was sent to it already, and it takes one"
    remedy = "use that one; or ask for another upload: POST /api/v1/uploads"


class UploadRefused(UploadError):
    """A file came with a form that this service has not signed, or not for this upload."""

    field = "signature"


class UploadTooLarge(UploadError):
    """A file has more bytes than its form allows."""

    field = "file"


class UploadExpired(UploadError):
    """Its time is up."""

    problem = "its time was up before"
    remedy = "ask for another one: POST /api/v1/uploads"
