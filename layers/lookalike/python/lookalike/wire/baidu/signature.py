"""bce-auth-v1: the signature that the vendor's SDKs put on a request instead of a token.

``Authorization: bce-auth-v1/{access key}/{timestamp}/{seconds it holds}/{signed headers}/{signature}``, described
at https://cloud.baidu.com/doc/Reference/AuthenticationMechanism.html. The SDKs differ in what they sign: some sign
the host without its port, one (Java) names no headers, which means a default set, and writes its clock in twelve
hours. So a signature is tried against every host and path that the request may have been signed for. The body is
not signed, so a signature holds no longer than the SDKs need.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from lookalike.domain.application import Application
from lookalike.errors import SignatureInvalid
from lookalike.ports import ApplicationLookup
from lookalike.wire import signing
from lookalike.wire.http import Request

#: How long a signature holds at most, in seconds. The SDKs ask for 1800 (Python, PHP, Node, Java, Go) or 1200 (.NET);
#: what asks for more is good for as long as theirs.
_MAX_LIFETIME = 1800

#: Half a day, in seconds.
_TWELVE_HOURS = 43_200

_FORM = "bce-auth-v1/<access key>/<timestamp>/<seconds>/<signed headers>/<signature>"

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

#: Signed when a signature names no headers, with every ``x-bce-`` header, as far as they are there.
_DEFAULT_HEADERS = ("host", "content-length", "content-type", "content-md5")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The header's parts. ``headers`` are lower-case names, or empty for the default set."""

    access_key: str
    timestamp: str
    seconds: str
    headers: tuple[str, ...]
    signature: str

    @classmethod
    def of(cls, header: str) -> Authorization:
        """Read the header. Raises SignatureInvalid if it is not in its form."""
        parts = header.strip().split("/")
        if len(parts) != 6 or parts[0] != "bce-auth-v1":
            raise SignatureInvalid(f"not in the form {_FORM}")
        names = tuple(name.strip().lower() for name in parts[4].split(";") if name.strip())
        return cls(parts[1], parts[2], parts[3], names, parts[5].lower())

    def check_time(self, now: int) -> None:
        """Raise SignatureInvalid unless the signature holds at Unix seconds ``now``."""
        if not (self.seconds.isascii() and self.seconds.isdigit() and len(self.seconds) <= 9):
            raise SignatureInvalid("the seconds it holds for are no number")
        life = min(int(self.seconds), _MAX_LIFETIME)
        times = self._times()
        if not any(now - life - signing.MAX_SKEW <= signed <= now + signing.MAX_SKEW for signed in times):
            nearest = min(times, key=lambda signed: abs(signed - now))
            raise SignatureInvalid(
                f"{signing.clock_error(nearest, now)}; it holds for {life} s, and clocks may differ by {signing.MAX_SKEW} s",
                remedy=signing.CLOCK,
            )

    def _times(self) -> tuple[int, ...]:
        """Unix seconds that the timestamp may mean: one, or two if it is the Java SDK's, which alone names no headers.

        That SDK writes 13:00 as 01:00 and 00:00 as 12:00, so its hours are 01 to 12, in either half of the day.
        """
        written = signing.unix_seconds(self.timestamp, _TIME, name="its timestamp", example="2006-01-02T15:04:05Z")
        hour = self.timestamp[11:13]
        if self.headers or not "01" <= hour <= "12":
            return (written,)
        return (written, written - _TWELVE_HOURS if hour == "12" else written + _TWELVE_HOURS)


def is_present(request: Request) -> bool:
    """Return True if the request carries such a signature, valid or not."""
    return request.headers.get("authorization", "").strip().startswith("bce-auth-")


def verify(applications: ApplicationLookup, request: Request, public: Sequence[str], now: int) -> Application:
    """Application that signed the request. ``now`` is in Unix seconds.

    ``public`` are further places requests may be signed for: host names, each with a base path if it has one.
    Raises SignatureInvalid.
    """
    claim = Authorization.of(request.headers.get("authorization", ""))
    claim.check_time(now)
    if claim.headers and "host" not in claim.headers:
        raise SignatureInvalid("its signed headers leave host out")
    application = applications.application(claim.access_key)
    if application is None:
        raise SignatureInvalid("no application has its access key", remedy=signing.UNKNOWN_KEY)
    keys = [_signing_key(secret, claim) for secret in application.secrets]
    # Every candidate is compared, whichever matches: the time taken says nothing.
    matches = [
        hmac.compare_digest(_sign(key, canonical).encode(), claim.signature.encode("utf-8", "replace"))
        for canonical in canonical_requests(request, claim, public)
        for key in keys
    ]
    if not any(matches):
        raise signing.mismatch(request, public)
    return application


def canonical_requests(request: Request, claim: Authorization, public: Iterable[str]) -> Iterator[str]:
    """Every text that the signature may have been made of."""
    query = _canonical_query(request.raw_query)
    received, name, _ = signing.host_of(request)
    paths = (unquote(request.raw_path), request.path, request.raw_path)
    for host, path in signing.targets((received, name), paths, public, escape=_escape_path):
        for headers in _signed_headers(request, claim, host):
            yield "\n".join((request.method, path, query, headers))


def _signing_key(secret: str, claim: Authorization) -> str:
    return _sign(secret, f"bce-auth-v1/{claim.access_key}/{claim.timestamp}/{claim.seconds}")


def _sign(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _canonical_query(raw: str) -> str:
    pairs = (piece.partition("=") for piece in raw.split("&") if piece)
    escaped = ((_escape(unquote(name)), _escape(unquote(value))) for name, _, value in pairs)
    return "&".join(sorted(f"{name}={value}" for name, value in escaped if name.lower() != "authorization"))


def _signed_headers(request: Request, claim: Authorization, host: str) -> Iterator[str]:
    """The canonical headers, once per value that a gateway may have dropped."""
    given = dict(request.headers) | {"host": host}
    given.setdefault("content-length", str(len(request.body or b"")))
    if claim.headers:
        yield _canonical_headers(given, claim.headers)
        return
    names = [name for name in given if name in _DEFAULT_HEADERS or name.startswith("x-bce-")]
    yield _canonical_headers(given, names)
    if "content-md5" not in given:
        md5 = hashlib.md5(request.body or b"", usedforsecurity=False).hexdigest()
        yield _canonical_headers(given | {"content-md5": md5}, [*names, "content-md5"])


def _canonical_headers(given: Mapping[str, str], names: Iterable[str]) -> str:
    return "\n".join(sorted(f"{_escape(name)}:{_escape(given.get(name, '').strip())}" for name in names))


def _escape_path(path: str) -> str:
    return quote(path, errors="replace")


def _escape(text: str) -> str:
    """All but ``A-Za-z0-9-._~`` percent-encoded (RFC 3986 section 2.3)."""
    return quote(text, safe="", errors="replace")
