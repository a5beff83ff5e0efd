"""Answers every path that nothing else does, in the form its caller can read."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata, qiniu

handler = bootstrap.handler("unknown", (*baidu.routes("unknown"), *jumdata.routes("unknown"), *qiniu.routes("unknown")))
