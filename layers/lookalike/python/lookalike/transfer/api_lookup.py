"""What a running service's library holds, as far as the key may look."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import cast

from lookalike.domain.application import Application, Permission, Policy
from lookalike.domain.picture import Decoded
from lookalike.errors import InvalidArgument
from lookalike.transfer.api_client import Answered, ApiClient
from lookalike.transfer.outcomes import Outcome, Result
from lookalike.transfer.target import NotShown, TargetError
from lookalike.wire.native import picture_path

#: Codes of refusals that may pass: a rerun tries these rows again.
PASSING = frozenset({"revision_conflict", "url_unreachable", "url_timeout", "url_answer", "url_failed"})

#: Fields that a reason does not name, as they are the row's picture.
_PICTURE_ITSELF = ("base64", "file", "picture")

#: A picture as a call names it: a member of the API's image.
Image = Mapping[str, str]


class ApiLookup:
    """Asks for pictures of a library, whose path is given; ``there``: it exists. Safe to use from threads."""

    def __init__(self, client: ApiClient, path: str, *, there: bool) -> None:
        self._client = client
        self._path = path
        self._there = there
        self._unseen = ""

    @property
    def unseen(self) -> str:
        """Why it is not known what the library holds; empty if it is, or nobody has asked."""
        return self._unseen

    @cached_property
    def caller(self) -> Application:
        """The application whose key it is, as far as the service tells."""
        said = checked(self._client.call("GET", "/session"))
        may = tuple(Permission(one) for one in cast("list[str]", said.get("may", [])))
        name, key = str(said["application"]), str(said["access_key"])
        return Application(key, "", str(said["app_id"]), "", name, policy=Policy(may=may))

    def path_of(self, id_: str) -> str:
        """Return the path of a picture."""
        return f"{self._path}/pictures/{picture_path.segment(id_)}"

    def stored(self, name: str) -> Mapping[str, object] | None:
        """Return what is stored of a picture; None if the library holds none of that name, or the key may not look."""
        found = self._client.call("GET", self.path_of(name)) if name and self._there else None
        if found is None or found.status == 404 or self._is_hidden(found):
            return None
        if found.status == 409:  # a sign that two pictures share
            return {"id": name, "digest": ""}
        return checked(found)

    def held(self, decoded: Decoded | None, image: Callable[[], Image]) -> Mapping[str, object] | Result | None:
        """Return what is stored of a row's picture; None if the library does not hold it, or the key may not look.

        The server is asked by the picture's digest, which sends no file. It is sent what only the file can tell: a URL, and
        a picture with hidden content. What becomes of a URL that it cannot load is a result.
        """
        if decoded is not None:
            if decoded.hidden is None:
                return self.stored(decoded.digest)
            if (found := self.stored(decoded.full_digest)) is not None or self.stored(decoded.digest) is None:
                return found
        return self._seen_by_server(image()) if self._there else None

    def _seen_by_server(self, image: Image) -> Mapping[str, object] | Result | None:
        body = json.dumps({"image": image}).encode()
        found = self._client.call("POST", f"{self._path}/check?nearest=false", body)
        if self._is_hidden(found):
            return None
        if found.status != 200:
            failed = found.json.get("code") in PASSING
            return Result(Outcome.FAILED if failed else Outcome.REFUSED, "", reason_said(found.json))
        return cast("Mapping[str, object] | None", found.json.get("picture"))

    def _is_hidden(self, answered: Answered) -> bool:
        if answered.is_not_permitted:
            self._unseen = answered.problem
        return answered.is_not_permitted


def reason_said(said: Mapping[str, object]) -> str:
    """Return why a row is refused, as the report has it."""
    parts = [str(said[name]).lstrip("/") for name in ("field", "detail") if said.get(name)]
    named = (part.removeprefix("image/") for part in parts)
    return ": ".join(part for part in named if part not in _PICTURE_ITSELF) or str(said.get("code", ""))


def hidden(answered: Answered) -> NotShown:
    """Return the error of a call that the key may not make, and an import can do without."""
    return NotShown(answered.problem)


def checked(answered: Answered) -> Mapping[str, object]:
    """Return what is said. Raises InvalidArgument for what the caller has wrong, else TargetError."""
    if answered.status in (401, 403):
        raise InvalidArgument("--key", answered.problem)
    if answered.status in (400, 404, 409):
        raise InvalidArgument("--library", answered.problem)
    if answered.status >= 300 or not answered.json:
        raise TargetError(f"this is no answer of lookalike: {answered.problem}")
    return answered.json
