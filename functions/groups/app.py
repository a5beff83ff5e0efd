"""Makes, removes and lists groups of pictures, says what is in them, and how the service is."""

from lookalike.handlers.http import http_handler
from lookalike.wire import status
from lookalike.wire.http import routes_of
from lookalike.wire.native import calls as native
from lookalike.wire.qiniu import calls as qiniu

handler = http_handler(
    "groups", (*routes_of("groups", status.ROUTES), *qiniu.routes("groups"), *native.routes("groups"))
)
