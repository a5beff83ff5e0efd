"""Finds pictures like the one given."""

from lookalike import bootstrap
from lookalike.wire import baidu, qiniu

handler = bootstrap.handler("search", (*baidu.routes("search"), *qiniu.routes("search")))
