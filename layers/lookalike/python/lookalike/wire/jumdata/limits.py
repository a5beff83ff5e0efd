"""What the Jumdata dialect allows."""

from __future__ import annotations

#: Sides of a picture and the length of its base64: the vendor's other picture services document these.
MAX_BASE64 = 4 * 1024 * 1024


MAX_SIDE = 4096


FORMATS = frozenset({"JPEG", "PNG", "BMP"})


#: No bound is documented; browsers and servers have theirs near this.
MAX_URL_BYTES = 2048


#: Longest metadata, in bytes of UTF-8: its ``description`` is a picture's brief.
METADATA_BYTES = {"brief": 64}


MAX_SIGNS = 1000


DEFAULT_RESULTS = 100


MAX_TASK_NUMBER = 10**24
