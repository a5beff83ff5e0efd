"""Jumdata's codes and messages of errors, and the answer that carries them."""

from __future__ import annotations

from dataclasses import replace

from lookalike import errors
from lookalike.service.permissions import NotPermitted
from lookalike.wire.dialect import Codes, code_of
from lookalike.wire.http import Answer, Request, ascii_json
from lookalike.wire.log_fields import CallId

#: Code and message by class of error; ``{name}`` is the argument's name. A class that is missing has those of the class
#: it derives from.
ERRORS: Codes = {
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
    NotPermitted: (601, "接口未开通"),
    errors.ApplicationDisabled: (602, "账号停用"),
    errors.LimitReached: (606, "调用超限,请稍候再试"),
    errors.LibraryFull: (606, "调用超限,请稍候再试"),
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


def refuse(error: Exception, call_id: CallId, _request: Request) -> Answer:
    """Answer of an error, which carries the task's number unless its code is that of a bad request."""
    code, message = code_of(ERRORS, error)
    said: dict[str, object] = {"code": code, "msg": message.format(name=getattr(error, "name", ""))}
    if code != _BARE:
        said |= {"taskNo": call_id.value, "charge": False}
    return replace(ascii_json(said), failed=code in _OUR_FAILURE)
