"""The caller that a request claims to come from, before authentication. No decision may rest on the claim alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: A token is secret, so no other caller can claim it. Access keys and app ids are not secret.
_TOKEN = re.compile(r"(?:^|&)access_token=([0-9A-Za-z._~-]{1,200})")
_ACCESS_KEY = re.compile(r"bce-auth-v1/([^/]{1,200})/|(?:Qiniu|QBox) ([^:]{1,200}):")
_APP_ID = re.compile(r'\bappId(?:=|"[^"]{0,200}?\r\n\r\n)([0-9]{1,20})')

#: Bytes at the start and at the end of a body that are searched for small fields. The picture lies between.
_MAX_FIELD_DISTANCE = 1024


def claimed(query: str, headers: Mapping[str, str], body: bytes) -> str:
    """The access token, access key or app id that a request names; empty if it names none where it usually is.

    ``headers`` have lower-case names.
    """
    fields = f"{_text(body[:_MAX_FIELD_DISTANCE])}&{_text(body[-_MAX_FIELD_DISTANCE:])}"
    found = (
        _TOKEN.search(query)
        or _ACCESS_KEY.match(headers.get("authorization", "").strip())
        or _APP_ID.search(query)
        or _APP_ID.search(fields)
        or _TOKEN.search(fields)
    )
    return "" if found is None else next(group for group in found.groups() if group is not None)


def _text(some: bytes) -> str:
    return some.decode("latin-1")
