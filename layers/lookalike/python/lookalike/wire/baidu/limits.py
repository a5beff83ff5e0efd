"""The limits of the Baidu dialect, as the vendor documents them for its image search (https://ai.baidu.com/docs)."""

from __future__ import annotations

#: Longest base64 of a picture, in bytes; a picture's file may have three quarters of that.
MAX_BASE64 = 4 * 1024 * 1024

#: Longest side of a picture, in pixels. The shortest is a setting, because the vendor's pages differ on it.
MAX_SIDE = 4096

#: Formats of pictures, as the decoder names them. The vendor documents all but GIF.
FORMATS = frozenset({"JPEG", "PNG", "BMP", "GIF"})

#: Longest URL of a picture, in bytes.
MAX_URL_BYTES = 1024

#: Longest metadata, in bytes of UTF-8.
METADATA_BYTES = {"brief": 256}

#: Signs in one call to delete. The vendor documents no limit.
MAX_SIGNS = 1000

#: Results of one search; a larger ``rn`` asks for as many.
MAX_RESULTS = 1000

#: Results of a search that names no ``rn``.
DEFAULT_RESULTS = 300

#: A log_id is below this: JavaScript's numbers are exact as far.
MAX_LOG_ID = 2**53
