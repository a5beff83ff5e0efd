"""Changes what is said of a picture."""

from lookalike import bootstrap
from lookalike.wire import baidu

handler = bootstrap.handler("update", baidu.routes("update"))
