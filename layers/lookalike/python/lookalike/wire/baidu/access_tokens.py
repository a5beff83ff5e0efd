"""Access tokens: stateless, so that nothing has to be stored, and revoked with the secret that made them.

A token has the vendor's shape, ``24.<32 hex>.2592000.<expiry>.<6 digits>-<app id>``, because clients read the app
id out of it and paste it into addresses unescaped. Expiry is in Unix seconds, the six digits are a nonce, and the
hex is the first 128 bits of HMAC-SHA256(secret key, ``app id|expiry|nonce``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from lookalike.domain.application import Application
from lookalike.errors import TokenExpired, TokenInvalid
from lookalike.ports import ApplicationLookup

#: Lifetime of a token, in seconds: the vendor's 30 days. Clients renew up to one day before its end.
LIFETIME = 2_592_000

#: Time after its lifetime in which a token is still accepted, in seconds, so that a client that renews late by its own
#: clock is still served.
GRACE = 3600

_PATTERN = re.compile(
    rf"24\.(?P<mac>[0-9a-f]{{32}})\.{LIFETIME}\.(?P<expiry>[0-9]{{10}})\.(?P<nonce>[0-9]{{6}})-(?P<app_id>[0-9]{{1,20}})"
)


def mint(application: Application, now: int) -> str:
    """A new token for the application at Unix seconds ``now``."""
    expiry = str(now + LIFETIME)
    nonce = f"{secrets.randbelow(10**6):06d}"
    mac = _mac(application, application.secret_key, expiry, nonce)
    return f"24.{mac}.{LIFETIME}.{expiry}.{nonce}-{application.app_id}"


def verify(applications: ApplicationLookup, token: str, now: int) -> Application:
    """Application that the token was made for. ``now`` is in Unix seconds.

    Raises TokenInvalid if this service did not make it or its application or secret is gone, TokenExpired past
    LIFETIME and GRACE.
    """
    shape = _PATTERN.fullmatch(token)
    if shape is None:
        raise TokenInvalid("not in the form of this service's tokens" if token else "missing")
    application = applications.application_by_id(shape["app_id"])
    if application is None:
        raise TokenInvalid(
            "no application has its app id; tokens of the vendor, and of applications revoked, are unknown here"
        )
    expected = [_mac(application, secret, shape["expiry"], shape["nonce"]) for secret in application.secrets]
    if not any(hmac.compare_digest(one, shape["mac"]) for one in expected):
        raise TokenInvalid("not made with its application's secret key")
    if now > int(shape["expiry"]) + GRACE:
        raise TokenExpired(application.app_id)
    return application


def _mac(application: Application, secret: str, expiry: str, nonce: str) -> str:
    said = f"{application.app_id}|{expiry}|{nonce}".encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()[:32]
