"""Finds pictures like the one given."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata

handler = bootstrap.handler("search", (*baidu.routes("search"), *jumdata.routes("search")))
