"""Takes pictures out of a library; they are purged days later."""

from lookalike import bootstrap
from lookalike.wire import baidu, jumdata, qiniu

handler = bootstrap.handler("delete", (*baidu.routes("delete"), *jumdata.routes("delete"), *qiniu.routes("delete")))
