"""Makes, removes and lists groups of pictures, and says what is in them."""

from lookalike.handlers.http import http_handler
from lookalike.wire.native import calls as native
from lookalike.wire.qiniu import calls as qiniu

handler = http_handler("groups", (*qiniu.routes("groups"), *native.routes("groups")))
