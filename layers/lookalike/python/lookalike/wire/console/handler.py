"""The handler of the console's function: payload-2.0 events in, files out.

Everything is read when the function starts. A request names a file or none, and no path of a request ever reaches the disk.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lookalike.wire.console.site import BASE, HASHED, File, Site

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]

#: What the console's pages may do: load their own files, show pictures, ask this service, and nothing else but what
#: :func:`uploads_host` says.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

#: Headers of every answer.
SECURITY = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

#: Sent over TLS: the host answers over TLS alone, for a year.
STRICT_TRANSPORT = {"strict-transport-security": "max-age=31536000"}

#: How long files are kept: those whose path changes with them for a year, the start page never unasked.
_KEPT = "public, max-age=31536000, immutable"
_ASKED = "no-cache"

#: Method and path of the routes that the function answers. The address without its slash is the start page, too, and is
#: not redirected: a gateway may take the slash away before the function sees it.
ROUTES = (("GET", BASE), ("GET", f"{BASE}/{{path+}}"))


def console_handler(app: str) -> Handler:
    """Return the handler of the function in that file, which serves the folder ``static`` beside it."""
    return handler_of(Site.of(Path(app).parent / "static"), uploads_host(os.environ))


def uploads_host(environment: Mapping[str, str]) -> str:
    """Return the origin that takes files sent ahead of a call, on AWS; empty where this service takes them itself."""
    bucket, region = environment.get("LOOKALIKE_UPLOADS"), environment.get("AWS_REGION", "")
    if not bucket or environment.get("LOOKALIKE_DATA"):
        return ""
    if endpoint := environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"):
        return endpoint.rstrip("/")
    return f"https://{bucket}.s3.{region}.{'amazonaws.com.cn' if region.startswith('cn-') else 'amazonaws.com'}"


def handler_of(site: Site, uploads: str = "") -> Handler:
    """Return a handler that serves the site, whose pages may send files to the origin ``uploads``."""
    policy = CONTENT_SECURITY_POLICY.replace("connect-src 'self'", f"connect-src 'self' {uploads}".rstrip())
    security = {"content-security-policy": policy, **SECURITY}

    def handle(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
        headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
        method = str(event["requestContext"]["http"]["method"]).upper()
        over_https = headers.get("x-forwarded-proto", "").strip().lower() == "https"
        answer = _answer(site, method, f"/{str(event.get('rawPath', '')).lstrip('/')}", headers)
        answer["headers"] = {**answer["headers"], **security, **(STRICT_TRANSPORT if over_https else {})}
        return answer if method != "HEAD" else {**answer, "body": "", "isBase64Encoded": False}

    return handle


def _answer(site: Site, method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    if method not in ("GET", "HEAD"):
        return _text(405, "Method Not Allowed", allow="GET, HEAD")
    if (file := site.files.get(path)) is not None:
        return _file(file, _KEPT, headers)
    # A page that was loaded before an update asks for files that are no more: that is an error, and no page.
    if site.index is None or HASHED.fullmatch(path.removeprefix(f"{BASE}/").partition("/")[0]):
        return _text(404, "Not Found")
    if _has(headers.get("if-none-match", ""), site.index.etag):
        return {"statusCode": 304, "headers": {"cache-control": _ASKED, "etag": site.index.etag}, "body": ""}
    return _file(site.index, _ASKED, headers, etag=site.index.etag)


def _file(file: File, kept: str, headers: Mapping[str, str], **more: str) -> dict[str, Any]:
    said = {"content-type": file.content_type, "cache-control": kept, "vary": "accept-encoding", **more}
    data = file.data
    if file.gzipped is not None and _takes_gzip(headers.get("accept-encoding", "")):
        said["content-encoding"] = "gzip"
        data = file.gzipped
    return {
        "statusCode": 200,
        "headers": said,
        "body": base64.b64encode(data).decode("ascii"),
        "isBase64Encoded": True,
    }


def _text(status: int, text: str, **headers: str) -> dict[str, Any]:
    said = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", **headers}
    return {"statusCode": status, "headers": said, "body": text, "isBase64Encoded": False}


def _has(if_none_match: str, etag: str) -> bool:
    """Return whether the header names the ETag; the comparison is weak (RFC 9110 section 13.1.2)."""
    given = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return bool(given & {"*", etag.removeprefix("W/")})


def _takes_gzip(accept_encoding: str) -> bool:
    return any(re.fullmatch(r"gzip(;q=(1|0?\.[0-9]*[1-9][0-9]*).*)?", one.replace(" ", ""))
               for one in accept_encoding.lower().split(","))  # fmt: skip
