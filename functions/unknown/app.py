"""Answers every path that nothing else does, in the form its caller can read; and says what runs here."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata, qiniu, status

_ELSEWHERE = (*baidu.routes("unknown"), *jumdata.routes("unknown"), *qiniu.routes("unknown"))

handler = bootstrap.handler("unknown", (*status.ROUTES, *_ELSEWHERE))
