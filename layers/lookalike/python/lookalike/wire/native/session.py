"""The console's session: signing in by keys or by a link, who is signed in, and signing out.

The token function answers these calls. It imports no call on a library, and so no picture: what is given and said stands
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

from lookalike.domain.application import Application
from lookalike.errors import AccessError, InvalidArgument, MissingArgument, TokenInvalid
from lookalike.ports import Ports
from lookalike.service.admission import Callers, check
from lookalike.service.capacity import application_capacity
from lookalike.service.sign_in import check_failures, count_failure, use_link
from lookalike.wire import basic_auth
from lookalike.wire.http import Request, RouteEntry
from lookalike.wire.native import BASE, cookies, session_tokens
from lookalike.wire.native.dialect import NATIVE, Reply, session_token
from lookalike.wire.native.json_body import json_of
from lookalike.wire.native.session_errors import LinkInvalid
from lookalike.wire.native.session_tokens import SECONDS, Token, Use

#: Path of the session.
PATH = f"{BASE}/session"

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]


class SignInGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An application's keys, or what stands behind ``#once=`` in a link of ``lookalike console``."""

    access_key: _Text = ""
    secret_key: _Text = ""
    once: _Text = ""


class SessionSaid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who calls, with which limits. ``may`` and ``libraries``: what a narrowed key may do, and where. ``expires``: when a session ends; a caller with keys or a token has none."""

    application: str
    app_id: str
    access_key: str
    expires: str = ""
    per_second: int | None = None
    per_day: int | None = None
    in_total: int | None = None
    networks: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    capacity: int | None = None


def sign_in(ports: Ports, application: Application, request: Request) -> Reply:
    """Sign in: the answer sets a cookie that stands for the keys in a browser, for 8 hours. A link works once."""
    check(application, request.source_ip)
    given = _given(request)
    if given.once:
        token = _link(ports, given.once, request)
        if not use_link(ports, token.nonce):
            raise LinkInvalid("used before")
    session = session_tokens.mint(application, Use.SESSION, ports.clock() // 1000)
    return Reply(status=204, cookies=(cookies.set_session(request, session, SECONDS[Use.SESSION]),))


def get_session(ports: Ports, application: Application, request: Request) -> Reply:
    """Say who calls, with which limits, and until when a session lasts."""
    check(application, request.source_ip)
    policy = application.policy
    return Reply(
        SessionSaid(
            application=application.name,
            app_id=application.app_id,
            access_key=application.access_key,
            expires="" if request.headers.get("authorization", "").strip() else _end(session_token(ports, request)),
            per_second=policy.per_second,
            per_day=policy.per_day,
            in_total=policy.in_total,
            networks=policy.networks,
            may=tuple(map(str, policy.may)),
            libraries=policy.libraries,
            capacity=application_capacity(ports, application),
        )
    )


def sign_out(_ports: Ports, _application: Application, request: Request) -> Reply:
    """Sign out: the answer takes the cookie away."""
    return Reply(status=204, cookies=(cookies.set_session(request, "", 0),))


def _end(token: Token) -> str:
    return datetime.fromtimestamp(token.expiry, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _authenticate(ports: Ports, request: Request) -> tuple[Application, Request]:
    """By the keys or the link in the body. A link works while keys, and other links, may not be tried.

    Raises InvalidArgument, TooManyFailures, TokenInvalid, LinkInvalid, and CrossSite for a page of another site.
    """
    cookies.check_origin(request, ports.settings.public_hosts, with_cookie=False)
    given = _given(request)
    if not given.once:
        check_failures(ports, given.access_key, request.source_ip)
    try:
        application = _link(ports, given.once, request).application if given.once else _by_keys(ports, given)
    except AccessError:
        if given.once:
            check_failures(ports, given.access_key, request.source_ip)
        count_failure(ports, given.access_key, request.source_ip)
        raise
    return application, request


def _given(request: Request) -> SignInGiven:
    """Return what the body says. Raises InvalidArgument."""
    given = json_of(request.content(), SignInGiven)
    if given.once and (given.access_key or given.secret_key):
        raise InvalidArgument("/once", "goes without keys")
    for name in ("access_key", "secret_key"):
        if not given.once and not getattr(given, name):
            raise MissingArgument(f"/{name}")
    return given


def _by_keys(ports: Ports, given: SignInGiven) -> Application:
    found = basic_auth.application_with(Callers(ports), given.access_key, given.secret_key)
    if found is None:
        raise TokenInvalid("no application has these keys", field="sign_in", remedy="")
    return found


def _link(ports: Ports, once: str, request: Request) -> Token:
    """Return the token of a link that may be used from this address. Raises LinkInvalid."""
    try:
        token = session_tokens.verify(Callers(ports), once, ports.clock() // 1000)
    except AccessError as error:
        raise LinkInvalid("too old, or not made by this service") from error
    if token.use is Use.SESSION:
        raise LinkInvalid("a session is no link")
    if token.use is Use.LOOPBACK_LINK and not session_tokens.is_loopback(request.source_ip):
        raise LinkInvalid("it works on the service's own machine only")
    return token


def _not_counted(ports: Ports, application: Application, _address: str, _operation: str) -> None:
    """Admit without a limit: whoever is over one can sign in, learn it, and sign out."""
    ports.call.belongs_to(application.tenant)


#: Calls of whoever is signed in, and of whoever wants to be.
SIGNED_IN = replace(NATIVE, admit=_not_counted)
SIGNING_IN = replace(SIGNED_IN, authenticate=_authenticate)

ROUTES: Sequence[RouteEntry] = (
    RouteEntry("token", "POST", PATH, SIGNING_IN.endpoint(sign_in)),
    RouteEntry("token", "GET", PATH, SIGNED_IN.endpoint(get_session)),
    RouteEntry("token", "DELETE", PATH, SIGNED_IN.endpoint(sign_out)),
)
