"""What the Qiniu dialect allows."""

from __future__ import annotations

from lookalike.imaging.decode import Bounds

#: Groups of one search, whose pictures are then ranked together.
MAX_GROUPS = 2


#: What a picture may be: by URL, 10 MB. What comes in a request's body is bounded before by what a request may be.
BOUNDS = Bounds(
    max_bytes=10 * 1024 * 1024,
    min_side=30,
    max_side=4999,
    max_pixels=4999 * 4999,
    formats=frozenset({"JPEG", "PNG", "BMP", "WEBP", "GIF"}),
)


MAX_BASE64 = -(-BOUNDS.max_bytes // 3) * 4


#: No bound is documented. Addresses of pictures that are made anew while they are fetched are the longest.
MAX_URI_BYTES = 4096


#: Longest metadata, in bytes of UTF-8; what is not text counts as JSON.
METADATA_BYTES = {"label": 512, "desc": 4096}


MAX_DELETED = 1000


MAX_LISTED = 1000


#: Pictures not added after so many seconds are answered as not fetched in time; the gateway waits for 30.
MAX_ADDING_SECONDS = 25.0


#: Bytes of results in one answer, as the event carries them: Lambda takes 6 MB of answer, envelope and all.
MAX_RESULT_BYTES = 5_500_000
