"""Tokens of the console: sessions, and links that sign in once. Stateless, and revoked with the secret that made them.

A token is ``<use>.<32 hex>.<expiry>.<16 hex>-<app id>``. Expiry is in Unix seconds, the last hex is a nonce, and the first
is 128 bits of HMAC-SHA256(secret key, ``use|app id|expiry|nonce``). What is signed begins with the token's use, which is no
digit, so that no token is accepted for another use, nor as an access token or the other way round.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from lookalike.domain.application import Application
from lookalike.errors import TokenInvalid
from lookalike.ports import ApplicationLookup
from lookalike.wire.native.session_errors import SessionExpired


class Use(StrEnum):
    """What a token is for."""

    SESSION = "s1"
    LINK = "l1"
    #: A link for browsers on the service's own machine.
    LOOPBACK_LINK = "m1"


#: Seconds until a token expires, by its use.
SECONDS = {Use.SESSION: 8 * 3600, Use.LINK: 600, Use.LOOPBACK_LINK: 600}

_PATTERN = re.compile(
    r"(?P<use>[slm]1)\.(?P<mac>[0-9a-f]{32})\.(?P<expiry>[0-9]{10})\.(?P<nonce>[0-9a-f]{16})-(?P<app_id>[0-9]{1,20})"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was verified. ``expiry`` is in Unix seconds."""

    application: Application
    use: Use
    expiry: int
    nonce: str


def mint(application: Application, use: Use, now: int) -> str:
    """Return a new token for the application at Unix seconds ``now``."""
    expiry = str(now + SECONDS[use])
    nonce = secrets.token_hex(8)
    return (
        f"{use}.{_mac(application, application.secret_key, use, expiry, nonce)}.{expiry}.{nonce}-{application.app_id}"
    )


def link(application: Application, url: str, now: int) -> str:
    """Return an address below ``url`` that signs a browser in, once.

    Below an address that only the own machine reaches, it works for that machine's browsers alone. What stands behind ``#``
    is sent to no server, and so stands in no log.
    """
    use = Use.LOOPBACK_LINK if is_loopback(urlsplit(url).hostname or "") else Use.LINK
    return f"{url}/console/#once={mint(application, use, now)}"


def is_loopback(host: str) -> bool:
    """Return whether the name or address is that of the own machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def verify(applications: ApplicationLookup, token: str, now: int) -> Token:
    """Return what the token says. ``now`` is in Unix seconds.

    Raises TokenInvalid if this service did not make it or its application or secret is gone, and SessionExpired.
    """
    shape = _PATTERN.fullmatch(token)
    if shape is None:
        raise TokenInvalid("not in the form of a session or link of this service", field="session", remedy="")
    application = applications.application_by_id(shape["app_id"])
    if application is None:
        raise TokenInvalid("no application has the session's app id", field="session", remedy="")
    use = Use(shape["use"])
    expected = [_mac(application, secret, use, shape["expiry"], shape["nonce"]) for secret in application.secrets]
    if not any(hmac.compare_digest(one, shape["mac"]) for one in expected):
        raise TokenInvalid("the session was not made with its application's secret key", field="session", remedy="")
    if now > int(shape["expiry"]):
        raise SessionExpired(application.app_id)
    return Token(application, use, int(shape["expiry"]), shape["nonce"])


def _mac(application: Application, secret: str, use: Use, expiry: str, nonce: str) -> str:
    said = f"{use}|{application.app_id}|{expiry}|{nonce}".encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()[:32]
