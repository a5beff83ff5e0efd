"""Hands out access tokens."""

from lookalike.handlers.http import http_handler
from lookalike.wire.baidu import calls as baidu

handler = http_handler("token", baidu.routes("token"))
