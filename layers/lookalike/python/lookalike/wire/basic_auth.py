"""HTTP Basic authentication (RFC 7617) by an application's access key and secret key."""

from __future__ import annotations

import base64
import hmac

from lookalike.domain.application import Application
from lookalike.errors import TokenInvalid
from lookalike.ports import ApplicationLookup

#: Compared with where no application has the access key, so that the answer takes as long.
_NO_SECRET = "no application"  # noqa: S105 - it opens nothing


def verify(applications: ApplicationLookup, authorization: str) -> Application:
    """Return the application whose keys an Authorization header has. Raises TokenInvalid."""
    access_key, secret_key = credentials(authorization)
    application = applications.application(access_key)
    expected = _NO_SECRET if application is None else application.secret_key
    if not hmac.compare_digest(expected.encode(), secret_key.encode()) or application is None:
        raise TokenInvalid("no application has these keys", field="authorization")
    return application


def credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of an Authorization header. Raises TokenInvalid."""
    scheme, _, token = authorization.strip().partition(" ")
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise TokenInvalid("no base64", field="authorization") from error
    if scheme.lower() != "basic" or not colon:
        raise TokenInvalid("another scheme than Basic", field="authorization")
    return user, password
