"""Finds pictures like the one given."""

from lookalike import bootstrap
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.jumdata import calls as jumdata
from lookalike.wire.qiniu import calls as qiniu

handler = bootstrap.handler("search", (*baidu.routes("search"), *jumdata.routes("search"), *qiniu.routes("search")))
