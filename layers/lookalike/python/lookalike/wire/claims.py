"""The caller that a request claims to come from, before authentication. No decision may rest on the claim alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Nobody else can claim a token, a session or both keys, which are secret. Anybody can claim an access key or an app id.
_TOKEN = re.compile(r"(?:^|&)access_token=([0-9A-Za-z._~-]{1,200})")
_CREDENTIALS = re.compile(r"(?:bearer|basic) +([0-9A-Za-z._~+/=-]{1,400})", re.IGNORECASE)
_SESSION = re.compile(r"(?:^|[; ])(?:__Host-lookalike|lookalike_session)=([0-9A-Za-z._-]{1,200})")
_ACCESS_KEY = re.compile(r"bce-auth-v1/([^/]{1,200})/|(?:Qiniu|QBox) ([^:]{1,200}):")
_APP_ID = re.compile(r'\bappId(?:=|"[^"]{0,200}?\r\n\r\n)([0-9]{1,20})')

#: Bytes at each end of a body in which small fields are searched for; the picture lies between them.
_MAX_FIELD_DISTANCE = 1024


def claimed(query: str, headers: Mapping[str, str], body: bytes) -> str:
    """The token, session, key or app id that a request names; empty if it names none where it usually is.

    ``headers`` have lower-case names.
    """
    authorization = headers.get("authorization", "").strip()
    fields = f"{_text(body[:_MAX_FIELD_DISTANCE])}&{_text(body[-_MAX_FIELD_DISTANCE:])}"
    found = (
        _TOKEN.search(query)
        or _ACCESS_KEY.match(authorization)
        or _CREDENTIALS.match(authorization)
        or _SESSION.search(headers.get("cookie", ""))
        or _APP_ID.search(query)
        or _APP_ID.search(fields)
        or _TOKEN.search(fields)
    )
    return "" if found is None else next(group for group in found.groups() if group is not None)


def _text(some: bytes) -> str:
    return some.decode("latin-1")
