"""The limits of the native API."""

from __future__ import annotations

from lookalike.imaging.decode import FORMATS, Bounds
from lookalike.ports import Ports

#: Bytes of a picture by URL. One within a request is smaller, as the gateway bounds requests.
MAX_PICTURE_BYTES = 10 * 1024 * 1024

#: Longest base64 of a picture, in bytes.
MAX_BASE64 = -(-MAX_PICTURE_BYTES // 3) * 4

#: Longest side of a picture, in pixels.
MAX_SIDE = 4999

#: Longest URL of a picture, in bytes. Signed URLs are the longest.
MAX_URL_BYTES = 4096

#: Longest metadata, in bytes of UTF-8: as the vendors have them, whose clients may read what this API has written.
METADATA_BYTES = {"brief": 256, "label": 512, "desc": 4096}

#: Tags of a picture in libraries without a vendor's rules.
MAX_TAGS = 32

#: Bytes of a tag.
MAX_TAG_BYTES = 128

#: Pictures in one page of a list.
MAX_LISTED = 1000

#: Pictures in one page of a list that names no limit.
DEFAULT_LISTED = 100

#: Results in one page of a search.
MAX_RESULTS = 1000

#: Results in one page of a search that names no limit.
DEFAULT_RESULTS = 20

#: Clusters of near-duplicates in one page.
MAX_CLUSTERS = 100

#: Clusters in one page that names no limit.
DEFAULT_CLUSTERS = 20

#: Characters of a cursor of clusters, decoded.
MAX_CLUSTER_CURSOR = 32

#: Libraries of one search.
MAX_LIBRARIES = 20

#: Rows of one bulk call.
MAX_ROWS = 1000

#: Seconds until rows of a bulk call that are not done are answered as unfinished; the gateway waits for 30.
MAX_BULK_SECONDS = 25.0

#: Bytes of an answer's body: Lambda takes 6 MB of answer, in base64 and with its envelope.
MAX_ANSWER_BYTES = 4_400_000


def bounds(ports: Ports, max_bytes: int = MAX_PICTURE_BYTES) -> Bounds:
    """Return the bounds of a picture."""
    return Bounds(
        max_bytes=max_bytes,
        min_side=ports.settings.min_side,
        max_side=MAX_SIDE,
        max_pixels=MAX_SIDE * MAX_SIDE,
        formats=FORMATS,
    )
