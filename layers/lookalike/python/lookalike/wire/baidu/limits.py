"""What the Baidu dialect allows."""

from __future__ import annotations

#: Longest base64 of a picture, and so its file, in bytes.
MAX_BASE64 = 4 * 1024 * 1024


MAX_SIDE = 4096


FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF"})


MAX_URL_BYTES = 1024


#: Longest metadata, in bytes of UTF-8.
METADATA_BYTES = {"brief": 256}


MAX_SIGNS = 1000


MAX_RESULTS = 1000


DEFAULT_RESULTS = 300


#: JavaScript's numbers are exact below this.
MAX_LOG_ID = 2**53
