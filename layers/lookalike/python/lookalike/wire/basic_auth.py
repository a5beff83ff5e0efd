"""Authentication by an application's access key and secret key, in HTTP Basic (RFC 7617) too."""

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
    application = application_with(applications, *credentials(authorization))
    if application is None:
        raise TokenInvalid("no application has these keys", field="authorization")
    return application


def application_with(applications: ApplicationLookup, access_key: str, secret_key: str) -> Application | None:
    """Return the application that has both keys; None if there is none, in the same time whichever is wrong."""
    application = applications.application(access_key)
    expected = (_NO_SECRET,) if application is None else application.secrets
    are_right = [hmac.compare_digest(one.encode(), secret_key.encode()) for one in expected]
    return application if any(are_right) else None


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
