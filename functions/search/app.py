"""Finds pictures like the one given."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.jumdata import calls as jumdata
from lookalike.wire.native import calls as native
from lookalike.wire.qiniu import calls as qiniu

handler = http_handler(
    "search", (*baidu.routes("search"), *jumdata.routes("search"), *qiniu.routes("search"), *native.routes("search"))
)
