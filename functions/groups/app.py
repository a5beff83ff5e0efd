"""Makes, removes and lists groups of pictures, and says what is in them."""

from lookalike import bootstrap
from lookalike.wire.qiniu import calls as qiniu

handler = bootstrap.handler("groups", qiniu.routes("groups"))
