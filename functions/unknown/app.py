"""Answers every path that nothing else does, in the form its caller can read."""

from lookalike.handlers.http import http_handler
from lookalike.wire import status
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.http import routes_of
from lookalike.wire.jumdata import calls as jumdata
from lookalike.wire.native import calls as native
from lookalike.wire.qiniu import calls as qiniu

_ELSEWHERE = (*baidu.routes("unknown"), *jumdata.routes("unknown"), *qiniu.routes("unknown"), *native.routes("unknown"))

handler = http_handler("unknown", (*routes_of("unknown", status.ROUTES), *_ELSEWHERE))
