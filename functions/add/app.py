"""Adds a picture to a library."""

from lookalike import bootstrap
from lookalike.wire import baidu, qiniu

handler = bootstrap.handler("add", (*baidu.routes("add"), *qiniu.routes("add")))
