"""The cookie that a browser's session is in, and where the requests that bring it may come from.

The rules are those of Go's ``http.CrossOriginProtection`` (https://pkg.go.dev/net/http#CrossOriginProtection), but that an
unsafe request with the cookie has to say where it comes from.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lookalike.wire.http import Request
from lookalike.wire.native.session_errors import CrossSite

#: Names of the cookie. The prefix makes browsers refuse one that another host, or a connection without TLS, has set.
NAME = "lookalike_session"
NAME_OVER_HTTPS = "__Host-lookalike"

#: Methods that change nothing.
_SAFE = ("GET", "HEAD")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def session_of(request: Request) -> str:
    """Return the value of the session's cookie; empty if there is none, or several that differ."""
    name = NAME_OVER_HTTPS if request.over_https else NAME
    pairs = (cookie.partition("=") for cookie in request.cookies)
    values = {value.strip() for given, _, value in pairs if given.strip() == name}
    return values.pop() if len(values) == 1 else ""


def set_session(request: Request, value: str, seconds: int) -> str:
    """Return the Set-Cookie of a session that lasts so long; with 0 seconds the browser forgets it."""
    name, secure = (NAME_OVER_HTTPS, "; Secure") if request.over_https else (NAME, "")
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def check_origin(request: Request, public_hosts: tuple[str, ...], *, with_cookie: bool) -> None:
    """Raise CrossSite if a page of another origin has sent the request, as far as the browser tells.

    ``with_cookie``: a request that changes something is refused as well if nothing tells where it comes from.
    """
    safe = request.method in _SAFE
    site = request.headers.get("sec-fetch-site", "").strip().lower()
    if site:
        if site == "same-origin" or (safe and site == "none"):
            return
        raise CrossSite(f"Sec-Fetch-Site is {site}")
    origin = request.headers.get("origin", "").strip().lower()
    if not origin and (safe or not with_cookie):
        return
    if not _is_ours(origin, request, public_hosts):
        raise CrossSite(f"Origin is {origin or 'missing'}, and no host of this service")


def _is_ours(origin: str, request: Request, public_hosts: tuple[str, ...]) -> bool:
    try:
        scheme, host, *rest = urlsplit(origin)
    except ValueError:
        return False
    if scheme not in _DEFAULT_PORTS or any(rest) or (request.over_https and scheme != "https"):
        return False
    names = (request.headers.get("host", ""), *(place.partition("/")[0] for place in public_hosts))
    port = _DEFAULT_PORTS[scheme]
    return host.removesuffix(port) in {name.strip().lower().removesuffix(port) for name in names if name.strip()}
