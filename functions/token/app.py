"""Hands out access tokens."""

from lookalike import bootstrap
from lookalike.wire.baidu import calls as baidu

handler = bootstrap.handler("token", baidu.routes("token"))
