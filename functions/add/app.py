"""Adds a picture to a library."""

from lookalike import bootstrap
from lookalike.wire.baidu import calls as baidu
from lookalike.wire.jumdata import calls as jumdata
from lookalike.wire.qiniu import calls as qiniu

handler = bootstrap.handler("add", (*baidu.routes("add"), *jumdata.routes("add"), *qiniu.routes("add")))
