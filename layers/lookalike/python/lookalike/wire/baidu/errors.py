"""Baidu's codes and messages of errors, and the answer that carries them."""

from __future__ import annotations

from dataclasses import replace

from lookalike import errors
from lookalike.service.permissions import NotPermitted
from lookalike.wire.dialect import Codes, code_of
from lookalike.wire.http import Answer, Request, ascii_json
from lookalike.wire.log_fields import CallId

#: Code and message by class of error. A class that is missing has those of the class it derives from.
ERRORS: Codes = {
    errors.Unavailable: (2, "Service temporarily unavailable"),
    errors.RevisionConflict: (2, "Service temporarily unavailable"),
    errors.UnknownOperation: (3, "Unsupported openapi method"),
    errors.ServiceRateReached: (4, "Open api request limit reached"),
    errors.ApplicationDisabled: (6, "No permission to access data"),
    errors.AddressRefused: (6, "No permission to access data"),
    NotPermitted: (6, "No permission to access data"),
    errors.SignatureInvalid: (14, "IAM Certification failed"),
    errors.DailyQuotaReached: (17, "Open api daily request limit reached"),
    errors.RateReached: (18, "Open api qps request limit reached"),
    errors.Busy: (18, "Open api qps request limit reached"),
    errors.LibraryFull: (19, "Open api total request limit reached"),
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


#: Smallest code of an error about what was asked; smaller ones are about who asks, or about the platform.
_BUSINESS = 216000


#: Codes that are our own failure: their traceback is logged, and an alarm counts them.
_OUR_FAILURE = (2, 282000)


def refuse(error: Exception, call_id: CallId, _request: Request) -> Answer:
    """Answer of an error, which carries a log_id if the error is about what was asked."""
    code, message = code_of(ERRORS, error)
    said: dict[str, int | str] = {"error_code": code, "error_msg": message}
    if code >= _BUSINESS:
        said["log_id"] = call_id.value
    return replace(ascii_json(said), failed=code in _OUR_FAILURE)
