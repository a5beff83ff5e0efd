"""The native API: plain HTTP and JSON below ``BASE``."""

#: Where the API begins.
BASE = "/api/v1"
