"""Errors of the console's sessions, links and cookie."""

from __future__ import annotations

from lookalike import errors


class SessionExpired(errors.AccessError):
    """The session was issued by this service, and has expired."""

    field = "session"
    problem = "past its life of 8 hours; application {0}"
    remedy = "sign in again"


class LinkInvalid(errors.AccessError):
    """A link that signs in was used before, is too old, was not made here, or works on the service's machine only."""

    field = "/once"
    remedy = "lookalike console prints a new one"


class CrossSite(errors.AccessError):
    """A page of another site has sent the request."""

    field = "origin"
    remedy = "a proxy has to pass on Host, Origin and Sec-Fetch-Site; other names are in LOOKALIKE_PUBLIC_HOSTS"
