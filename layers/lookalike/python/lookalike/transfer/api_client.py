"""Calls of a running service's API, repeated while it is too busy or does not answer."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lookalike.errors import InvalidArgument
from lookalike.transfer.form_post import post_form
from lookalike.transfer.target import TargetError
from lookalike.wire.native import BASE

#: Attempts at one call before the import is broken off.
_ATTEMPTS = 10

#: Seconds before each further attempt: doubled each time, up to the last.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 20.0

#: Seconds that an answer may take: a bulk call works for 25, and waits for its turn before.
_TIMEOUT = 90.0

#: Statuses after which a call is repeated.
_AGAIN = (429, 500, 502, 503, 504)

#: Times that a file is sent until it has arrived.
_FILE_ATTEMPTS = 4

#: Redirects and what is not HTTP are faults of the address.
_CONNECTION_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status and its body."""

    status: int
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The object in the body; empty if there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def problem(self) -> str:
        """What the service says is wrong, in one line."""
        said = self.json
        named = [str(said[name]) for name in ("field", "detail") if said.get(name)]
        parts = [part for part in named if part != "permission"]
        cure = f"; {said['remedy']}" if self.status == http.client.FORBIDDEN and said.get("remedy") else ""
        return f"{': '.join(parts) or said.get('title') or said.get('message') or 'refused'}{cure} (HTTP {self.status})"

    @property
    def is_not_permitted(self) -> bool:
        """Whether the key is one that may not do this, though it may do other things."""
        return self.status == http.client.FORBIDDEN and self.json.get("code") == "not_permitted"


class ApiClient:
    """Calls paths below ``/api/v1`` of one address. Safe to use from threads: each has a connection of its own.

    Parameters
    ----------
    url : the service's address.
    key : an application's access key and secret key, parted by a colon, or an access token.

    Raises
    ------
    InvalidArgument : the address is none of a service, or the key is empty.
    """

    def __init__(self, url: str, key: str, pause: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise InvalidArgument("--url", f"{url} is not http:// or https:// and a host")
        if not key.strip():
            raise InvalidArgument("--key", "name the application's keys: ACCESS_KEY:SECRET_KEY, or an access token")
        self._url = url.rstrip("/")
        self._netloc, self._prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        basic = base64.b64encode(key.strip().encode()).decode()
        self._authorization = f"Basic {basic}" if ":" in key else f"Bearer {key.strip()}"
        self._pause = pause
        self._local = threading.local()
        self._progress: Mapping[str, str] = {}
        self._id = secrets.token_hex(4)

    def tell(self, rows: int, done: int) -> None:
        """Have every further call say how far the import is: a server of one machine counts that in its metrics."""
        self._progress = {"lookalike-import": f"id={self._id}, rows={rows}, done={done}"}

    def call(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json", *, once: bool = False
    ) -> Answered:
        """Call, and repeat the call while the service does not answer, or asks to. ``once``: answers are final.

        Raises TargetError if it does not answer in a few minutes, or says that it takes no calls for longer.
        """
        headers = {"authorization": self._authorization, "content-type": content_type, "user-agent": "lookalike-import"}
        headers |= self._progress
        wait, said = _FIRST_PAUSE, ""
        for _ in range(_ATTEMPTS):
            try:
                answered, after = self._send(method, path, body, headers)
            except _CONNECTION_ERRORS as error:
                said, after = f"{type(error).__name__}: {error}", 0.0
            else:
                if answered.status not in _AGAIN or once:
                    return answered
                said = answered.problem
                if after > _LONGEST_PAUSE:
                    break
            self._pause(max(wait, after))
            wait = min(2 * wait, _LONGEST_PAUSE)
        raise TargetError(f"{self._url} takes no calls now: {said}")

    def send_file(self, data: bytes) -> str:
        """Send a file ahead of the call that uses it; return the id of its upload, which is good for one call.

        Raises TargetError if the service takes no files.
        """
        said = ""
        for attempt in range(_FILE_ATTEMPTS):
            offered = self.call("POST", "/uploads")
            fields = offered.json.get("fields")
            if offered.status != 201 or not isinstance(fields, dict):
                raise TargetError(offered.problem)
            try:
                status = self._post(str(offered.json["url"]), fields, data)
            except _CONNECTION_ERRORS as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if status < http.client.MULTIPLE_CHOICES:
                    return str(offered.json["upload"])
                said = f"HTTP {status}"
            self._pause(_FIRST_PAUSE * 2**attempt)
        raise TargetError(f"{self._url} takes no files now: {said}")

    def _post(self, url: str, fields: Mapping[str, str], data: bytes) -> int:
        """Send a file to the address offered: of a store, or of the service itself, which may not know its own prefix."""
        own = urlsplit(url)
        if own.netloc == self._netloc and not own.path.startswith(f"{self._prefix}{BASE}"):
            url = own._replace(path=f"{self._prefix}{own.path}").geturl()
        return post_form(url, fields, data)

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answered, float]:
        """Return the answer, and the seconds after which the service wants to be asked again."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(self._netloc, timeout=_TIMEOUT)
        try:
            connection.request(method, f"{self._prefix}{BASE}{path}", body or None, dict(headers))
            answer = connection.getresponse()
            answered = Answered(answer.status, answer.read())
        except _CONNECTION_ERRORS:
            connection.close()
            self._local.connection = None
            raise
        after = answer.headers.get("retry-after", "")
        return answered, float(after) if after.isdigit() else 0.0
