"""Answers every path that nothing else does, in the form its caller can read."""

from lookalike import bootstrap
from lookalike.wire import baidu, qiniu

handler = bootstrap.handler("unknown", (*baidu.routes("unknown"), *qiniu.routes("unknown")))
