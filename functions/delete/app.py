"""Takes pictures out of a library; they are purged days later."""

from lookalike import bootstrap
from lookalike.wire import baidu, qiniu

handler = bootstrap.handler("delete", (*baidu.routes("delete"), *qiniu.routes("delete")))
