"""Finds pictures like the one given."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata, qiniu

handler = bootstrap.handler("search", (*baidu.routes("search"), *jumdata.routes("search"), *qiniu.routes("search")))
