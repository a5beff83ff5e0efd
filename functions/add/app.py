"""Adds a picture to a library."""

from lookalike import bootstrap
from lookalike.wire import baidu

handler = bootstrap.handler("add", baidu.routes("add"))
