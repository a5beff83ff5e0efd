"""The limits of the Qiniu dialect: those of the vendor's page on image groups where no other source is named."""

from __future__ import annotations

from lookalike.imaging.decode import Bounds

#: Groups of one search, whose pictures are ranked together.
MAX_GROUPS = 2

#: Bytes, pixels and formats of a picture; 10 MB by URL. A picture within a request is smaller, as requests are bounded.
BOUNDS = Bounds(
    max_bytes=10 * 1024 * 1024,
    min_side=30,
    max_side=4999,
    max_pixels=4999 * 4999,
    formats=frozenset({"JPEG", "PNG", "BMP", "WEBP", "GIF"}),
)

#: Longest base64 of a picture, in bytes.
MAX_BASE64 = -(-BOUNDS.max_bytes // 3) * 4

#: Longest URI of a picture that is not a ``data:`` URI, in bytes. No limit is documented; signed URLs are the longest.
MAX_URI_BYTES = 4096

#: Longest metadata, in bytes of UTF-8; what is not text counts as JSON.
METADATA_BYTES = {"label": 512, "desc": 4096}

#: Ids in one call to delete. No limit is documented.
MAX_DELETED = 1000

#: Pictures in one page of a list.
MAX_LISTED = 1000

#: Seconds until pictures that are not yet added are answered as not fetched in time; the gateway waits for 30.
MAX_ADDING_SECONDS = 25.0

#: Results of one answer, in bytes as the event carries them: Lambda takes 6 MB of answer, envelope included.
MAX_RESULT_BYTES = 5_500_000
