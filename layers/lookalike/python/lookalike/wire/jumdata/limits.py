"""What the Jumdata dialect allows."""

from __future__ import annotations

#: Sides of a picture and the length of its base64: the vendor's other picture services document these.
MAX_BASE64 = 4 * 1024 * 1024


MAX_SIDE = 4096


FORMATS = frozenset({"JPEG", "PNG", "BMP"})


#: No bound is documented; browsers and servers have theirs near this.
MAX_URL_BYTES = 2048


MAX_DESCRIPTION_BYTES = 64


MAX_SIGNS = 1000


DEFAULT_RESULTS = 100


TASK_NUMBERS = 10**24
