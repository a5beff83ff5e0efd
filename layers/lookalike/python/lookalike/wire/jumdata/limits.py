"""The limits of the Jumdata dialect: those of the vendor's page on similar-picture search V2, or of the source named."""

from __future__ import annotations

#: Longest base64 of a picture, in bytes, as the vendor's other picture services document it; a file may have three
#: quarters of that.
MAX_BASE64 = 4 * 1024 * 1024

#: Longest side of a picture, in pixels, as the vendor's other picture services document it.
MAX_SIDE = 4096

#: Formats of pictures, as the decoder names them.
FORMATS = frozenset({"JPEG", "PNG", "BMP"})

#: Longest URL of a picture, in bytes. No limit is documented; browsers and servers have theirs near this.
MAX_URL_BYTES = 2048

#: Longest metadata, in bytes of UTF-8: its ``description`` is a picture's brief.
METADATA_BYTES = {"brief": 64}

#: Signs in one call to delete. No limit is documented.
MAX_SIGNS = 1000

#: Results of a search that names no ``end``.
DEFAULT_RESULTS = 100

#: A taskNo is below this: it has 24 digits.
MAX_TASK_NUMBER = 10**24
