"""Changes what is said of a picture."""

from lookalike import bootstrap
from lookalike.wire.baidu import calls as baidu

handler = bootstrap.handler("update", baidu.routes("update"))
