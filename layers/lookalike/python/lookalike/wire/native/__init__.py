"""The native API: plain HTTP and JSON below ``/api/v1``."""
