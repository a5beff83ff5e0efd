"""Takes pictures out of a library; they are purged days later."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.jumdata import calls as jumdata
from lookalike.wire.native import calls as native
from lookalike.wire.qiniu import calls as qiniu

handler = http_handler(
    "delete", (*baidu.routes("delete"), *jumdata.routes("delete"), *qiniu.routes("delete"), *native.routes("delete"))
)
