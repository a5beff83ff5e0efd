"""A form with a file, sent to an address that a service has offered for it."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

#: Seconds that a file may take: one of 32 MB over 2 Mbit/s.
_TIMEOUT = 150.0


def post_form(url: str, fields: Mapping[str, str], data: bytes) -> int:
    """Send a file behind the fields of its form (RFC 7578); return the status. Raises OSError or HTTPException."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    boundary = secrets.token_hex()
    head = "".join(_part(boundary, name) + f"{value}\r\n" for name, value in fields.items())
    head += _part(boundary, "file", '; filename="picture"')
    body = b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
    connection = connect(parts.netloc, timeout=_TIMEOUT)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("POST", path, body, {"content-type": f"multipart/form-data; boundary={boundary}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _part(boundary: str, name: str, more: str = "") -> str:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
