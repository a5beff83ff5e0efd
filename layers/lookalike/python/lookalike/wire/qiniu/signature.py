"""The signatures of Qiniu's clients, ``Qiniu <access key>:<sign>`` and the older ``QBox <access key>:<sign>``.

Described at https://developer.qiniu.com/kodo/1201/access-token. The SDKs differ in what they sign: a type of content
that they never send, a path that is not escaped any more, a port that is named twice. So a signature is tried against
every request that it may have been made of.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from urllib.parse import unquote

from lookalike.domain.application import Application
from lookalike.errors import InvalidArgument, SignatureInvalid
from lookalike.ports import ApplicationLookup
from lookalike.wire import signing
from lookalike.wire.http import Request, with_one_slash

_FORM = "application/x-www-form-urlencoded"

#: Types whose body every client signs. With any other type some do, and some do not.
_SIGNED_TYPES = ("application/json", _FORM)

#: Stands in a body for what is not UTF-8: of JSON, the gateway hands over text alone.
_REPLACEMENT = "\ufffd".encode()

_PREFIX = "x-qiniu-"
_DATE = "x-qiniu-date"
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The header's parts."""

    scheme: str
    access_key: str
    signature: str

    @classmethod
    def of(cls, header: str) -> Authorization:
        """Read the header. Raises SignatureInvalid if it is not in its form."""
        scheme, _, token = header.strip().partition(" ")
        access_key, colon, signature = token.strip().partition(":")
        if scheme not in ("Qiniu", "QBox") or not (access_key and colon and signature):
            raise SignatureInvalid("missing, or not in the form Qiniu <access key>:<sign>")
        return cls(scheme, access_key, signature)


def verify(applications: ApplicationLookup, request: Request, public: Sequence[str], now: int) -> Application:
    """Application that signed the request. ``now`` is in Unix seconds.

    ``public`` are further places requests may be signed for: host names, each with a base path if it has one.
    Raises SignatureInvalid; InvalidArgument if the body did not arrive as it was signed, for it was no text.
    """
    claim = Authorization.of(request.headers.get("authorization", ""))
    _check_date(request.headers.get(_DATE), now)
    application = applications.application(claim.access_key)
    if application is None:
        raise SignatureInvalid("no application has its access key", remedy=signing.UNKNOWN_KEY)
    said = qbox_requests(request, public) if claim.scheme == "QBox" else signed_requests(request, public)
    # What is refused has been compared with every candidate, so the time taken tells a forger nothing; what is good
    # stops at the one it was made of, for each candidate has the whole body in it.
    claimed = claim.signature.encode("utf-8", "replace")
    secrets = application.secrets
    if not any(hmac.compare_digest(_sign(secret, candidate), claimed) for candidate in said for secret in secrets):
        if _REPLACEMENT in (request.body or b""):  # the true signature of what was sent would fail, too
            raise InvalidArgument("body", "must be UTF-8")
        raise signing.mismatch(request, public)
    return application


def signed_requests(request: Request, public: Iterable[str]) -> Iterator[bytes]:
    """Every text that a signature ``Qiniu`` may have been made of."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    dated = "".join(
        f"\n{'-'.join(part.capitalize() for part in name.split('-'))}: {value}"
        for name, value in sorted(request.headers.items())
        if name.startswith(_PREFIX) and name != _PREFIX
    )
    for (host, path), (line, body) in product(_targets(request, public), _contents(request)):
        yield _bytes(f"{request.method} {path}{query}\nHost: {host}{line}{dated}\n\n") + body


def qbox_requests(request: Request, public: Iterable[str]) -> Iterator[bytes]:
    """Every text that a signature ``QBox`` may have been made of: neither method nor host, and no body but a form's."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    is_form = request.headers.get("content-type", "").strip() == _FORM
    body = (request.body or b"") if is_form else b""
    for path in dict.fromkeys(path for _, path in _targets(request, public)):
        yield _bytes(f"{path}{query}\n") + body


def _check_date(stamp: str | None, now: int) -> None:
    """Raise SignatureInvalid if the request has a date, and it is not about now."""
    if stamp is None:
        return
    signed = signing.unix_seconds(stamp, _TIME, name="X-Qiniu-Date", example="20060102T150405Z")
    if abs(signed - now) > signing.MAX_SKEW:
        error = f"X-Qiniu-Date: {signing.clock_error(signed, now)}; clocks may differ by {signing.MAX_SKEW} s"
        raise SignatureInvalid(error, remedy=signing.CLOCK)


def _targets(request: Request, public: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Hosts and paths that the request may have been signed for.

    The host as received, without its port, and with it twice; the path as requested and without the stage, escaped
    and unescaped.
    """
    host, name, port = signing.host_of(request)
    hosts = (host, name, f"{host}:{port}") if port else (host,)
    paths = (request.raw_path, _without_stage(request), unquote(request.raw_path), request.path)
    return signing.targets(hosts, paths, public)


def _without_stage(request: Request) -> str:
    """The path as requested, less the stage if the gateway put one before it."""
    if unquote(with_one_slash(request.raw_path)) == request.path:
        return request.raw_path
    return "/" + request.raw_path.lstrip("/").partition("/")[2]


def _contents(request: Request) -> list[tuple[str, bytes]]:
    """The line about the content and the signed part of the body, in each way some client has it.

    The Node SDK signs another type than it sends, a form's or JSON's. The type is nothing to us, so it may, as long as
    it signs the body. Bodies that are not signed are those of the types for which some SDK signs none: of
    application/octet-stream (all of them) and of what is neither JSON's nor a form's (Go). Where no type is sent,
    today's SDKs sign a form's type and the body, so a signature without type and body covers no body but an empty one.
    """
    body = request.body or b""
    given = request.headers.get("content-type", "").strip()
    contents = [(f"\nContent-Type: {kind}", body) for kind in dict.fromkeys((given, *_SIGNED_TYPES)) if kind]
    if not given and not body:
        contents.append(("", b""))
    elif given and given not in _SIGNED_TYPES:
        contents.append((f"\nContent-Type: {given}", b""))
    return contents


def _sign(secret: str, said: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(secret.encode(), said, hashlib.sha1).digest())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
