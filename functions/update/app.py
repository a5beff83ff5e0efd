"""Changes what is said of a picture."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.native import calls as native

handler = http_handler("update", (*baidu.routes("update"), *native.routes("update")))
