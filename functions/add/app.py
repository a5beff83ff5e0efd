"""Adds a picture to a library."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata, qiniu

handler = bootstrap.handler("add", (*baidu.routes("add"), *jumdata.routes("add"), *qiniu.routes("add")))
