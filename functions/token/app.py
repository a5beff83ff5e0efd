"""Hands out access tokens."""

from lookalike import bootstrap
from lookalike.wire import baidu

handler = bootstrap.handler("token", baidu.routes("token"))
